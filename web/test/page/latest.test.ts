import { afterEach, beforeEach, expect, it, vi } from "vitest";

import { Latest } from "../../page/latest";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function worker(): { begun: string[]; latest: Latest<string> } {
  const begun: string[] = [];
  const latest = new Latest<string>(async (item) => {
    begun.push(item);
    await new Promise((resolve) => setTimeout(resolve, 100));
  });
  return { begun, latest };
}

it("begins at once, and then only with the last that came meanwhile", async () => {
  const { begun, latest } = worker();
  for (const item of ["a", "b", "c"]) latest.push(item);
  expect(begun).toEqual(["a"]);
  await vi.advanceTimersByTimeAsync(250);
  expect(begun).toEqual(["a", "c"]);
});

it("waits as long as it is told, from the last on", async () => {
  const { begun, latest } = worker();
  latest.push("a", 50);
  await vi.advanceTimersByTimeAsync(40);
  latest.push("b", 50);
  await vi.advanceTimersByTimeAsync(40);
  expect(begun).toEqual([]);
  await vi.advanceTimersByTimeAsync(20);
  expect(begun).toEqual(["b"]);
});

it("is not hurried by what ends while it waits", async () => {
  const { begun, latest } = worker();
  latest.push("a");
  await vi.advanceTimersByTimeAsync(90);
  latest.push("b", 50);
  await vi.advanceTimersByTimeAsync(30);
  expect(begun).toEqual(["a"]);
  await vi.advanceTimersByTimeAsync(30);
  expect(begun).toEqual(["a", "b"]);
});

it("forgets what is waiting", async () => {
  const { begun, latest } = worker();
  latest.push("a");
  latest.push("b");
  latest.drop();
  await vi.advanceTimersByTimeAsync(250);
  expect(begun).toEqual(["a"]);
});

import { expect, test, vi } from "vitest";

import { open } from "../src/index";
import { fixture, serve } from "./helpers";

const closed: string[] = [];

/** Stands for a driver that computes something else. */
vi.mock("../src/onnx.js", async (original) => {
  const { OnnxEncoder } = await original<typeof import("../src/onnx.js")>();
  const wrong = {
    device: "webgpu",
    embed: async () => new Float32Array(9).fill(1 / 3),
    close: async () => closed.push("webgpu"),
  };
  type Open = Parameters<typeof OnnxEncoder.open>;
  const either = (...[folder, runtimes, webgpu]: Open) =>
    webgpu ? wrong : OnnxEncoder.open(folder, runtimes, webgpu);
  return { OnnxEncoder: { open: either } };
});

test("where WebGPU gives other vectors than Python, wasm is taken", async () => {
  const server = await serve("onnx");
  const press = await open(server.url);
  expect(press.device).toBe("wasm");
  expect(closed).toEqual(["webgpu"]);
  const { questions, ids, k } = fixture<{ questions: string[]; ids: string[][]; k: number }>(
    "onnx/expected.json",
  );
  const { hits } = await press.search(questions[0]!, { k });
  expect(hits.map((hit) => hit.id)).toEqual(ids[0]);
  await expect(open(server.url, { verify: false })).resolves.toMatchObject({ device: "webgpu" });
  press.close();
  await server.close();
});

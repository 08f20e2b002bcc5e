import { byId, make } from "./text";

const SHOWN = 6;
let first = 0;

/** Offer some of the questions; a button brings the next ones. */
export function showExamples(questions: readonly string[], ask: (question: string) => void): void {
  const section = byId("examples");
  section.hidden = questions.length === 0;
  const draw = (): void => {
    const count = Math.min(SHOWN, questions.length);
    const chosen = Array.from({ length: count }, (_, i) => questions[(first + i) % questions.length]!);
    const items = chosen.map((question) => {
      const chip = make("button", "chip", question);
      chip.setAttribute("type", "button");
      chip.addEventListener("click", () => ask(question));
      return make("li", "", chip);
    });
    section.querySelector("ul")?.replaceChildren(...items);
  };
  const others = byId("others");
  others.hidden = questions.length <= SHOWN;
  others.onclick = () => {
    first += SHOWN;
    draw();
  };
  draw();
}

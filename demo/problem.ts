/** An error as a reader needs it: what failed, where, what was expected and received, what to do. */
import type { Diagnostic } from "../runtime/index.ts";
import { element } from "./element.ts";

function sentence(text: string): string {
  const first = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}

/** Replaces the content of `host`. */
export function showProblem(host: HTMLElement, diagnostic: Diagnostic): void {
  const { code, message, where, expected, received, advice } = diagnostic;
  const parts: readonly (readonly [string, string | undefined])[] = [
    ["where", where],
    ["expected", expected],
    ["received", received],
  ];
  const facts = parts.flatMap(([name, value]) =>
    value === undefined || value === "" ? [] : [element("dt", {}, name), element("dd", {}, value)],
  );
  host.replaceChildren(
    element(
      "div",
      { class: "problem", role: "alert" },
      element("p", { class: "problem-message" }, sentence(message)),
      element("dl", {}, ...facts),
      ...(advice === undefined ? [] : [element("p", {}, advice)]),
      element("code", {}, code),
    ),
  );
}

/** The controls: which model, which budget, which backend. Tells of every change; what follows is the page's affair. */
import type { Report } from "../compiler/compile.ts";
import type { Backend } from "../runtime/index.ts";
import { byId, byIdAs, element } from "./element.ts";
import { type EmbeddedModel, embeddedModels } from "./models.ts";
import { bytesText, millisecondsText } from "./quantity.ts";

export interface Settings {
  /** Share of the float32 package's bytes; 1: no budget. */
  readonly budget: number;
  /** Share of the float32 package's predicted time; 1: no budget. */
  readonly latencyBudget: number;
  readonly backend: Backend;
  readonly dims: Readonly<Record<string, number>>;
}

/** The float32 package. */
export type Baseline = Pick<Report, "totalBytes" | "predicted">;

export interface SetupEvents {
  onEmbedded(model: EmbeddedModel): void;
  onFiles(files: readonly File[]): void;
  /** The package must be made anew. */
  onCompile(): void;
  /** The package must be loaded anew. */
  onBackend(): void;
}

const backends: readonly (readonly [value: Backend, label: string, title: string])[] = [
  ["auto", "Auto", "The fastest that this browser runs"],
  ["wasm-simd", "SIMD", "WebAssembly with 128-bit SIMD"],
  ["wasm-relaxed", "Relaxed", "WebAssembly with relaxed SIMD: fused multiply-add"],
  ["webgpu", "WebGPU", "The same plan as WebGPU shaders"],
];

function choiceOf(
  name: string,
  value: string,
  checked: boolean,
  ...content: readonly (Node | string)[]
): HTMLLabelElement {
  return element(
    "label",
    {},
    element("input", { type: "radio", name, value, checked }),
    element("span", {}, ...content),
  );
}

/** "height=224, width=224" */
function parseDimensions(text: string): Readonly<Record<string, number>> {
  const pairs = [...text.matchAll(/([^\s,=]+)\s*=\s*(\d+)/g)];
  return Object.fromEntries(pairs.map(([, name = "", value = "0"]) => [name, Number(value)]));
}

export class Setup {
  readonly #budget = byIdAs("budget", HTMLInputElement);
  readonly #budgetText = byId("budget-text");
  readonly #latencyBudget = byIdAs("latency-budget", HTMLInputElement);
  readonly #dimensions = byIdAs("dimensions", HTMLInputElement);
  readonly #models = byId("models");
  readonly #backends = byId("backends");
  #float: Baseline | undefined;

  constructor(events: SetupEvents) {
    for (const model of embeddedModels) {
      const choice = choiceOf(
        "model",
        model.id,
        false,
        element("b", {}, model.title),
        element("small", {}, model.about),
      );
      choice.addEventListener("change", () => events.onEmbedded(model));
      this.#models.append(choice);
    }
    for (const [value, label, title] of backends) {
      const choice = choiceOf("backend", value, value === "auto", label);
      choice.title = title;
      choice.addEventListener("change", () => events.onBackend());
      this.#backends.append(choice);
    }
    void this.#offerWebgpu();
    for (const slider of [this.#budget, this.#latencyBudget]) {
      slider.addEventListener("input", () => this.#showBudget());
      slider.addEventListener("change", () => events.onCompile());
    }
    this.#dimensions.addEventListener("change", () => events.onCompile());
    this.#showBudget();
    this.#acceptFiles(events);
  }

  settings(): Settings {
    const chosen = this.#backends.querySelector<HTMLInputElement>("input:checked")?.value;
    return {
      budget: Number(this.#budget.value) / 100,
      latencyBudget: Number(this.#latencyBudget.value) / 100,
      backend: backends.find(([value]) => value === chosen)?.[0] ?? "auto",
      dims: parseDimensions(this.#dimensions.value),
    };
  }

  /** Marks the model at work: an embedded one, or the reader's own file. */
  showChosen(model: EmbeddedModel["id"] | { readonly file: string }): void {
    for (const input of this.#models.querySelectorAll("input")) input.checked = input.value === model;
    const own = typeof model === "object";
    byId("dimensions-field").hidden = !own;
    byId("drop").classList.toggle("chosen", own);
    byId("drop-text").textContent = own ? model.file : "Drop an ONNX file or";
    byId("choose-model").textContent = own ? "another…" : "choose…";
  }

  /** What the budgets are shares of; undefined while it is not known. */
  showFloat(float: Baseline | undefined): void {
    this.#float = float;
    this.#showBudget();
  }

  #showBudget(): void {
    const show = (slider: HTMLInputElement, host: HTMLElement, whole: string | undefined): void => {
      const detail = whole === undefined ? "" : `: ${whole}`;
      host.textContent = slider.value === "100" ? "none" : `${slider.value} %${detail}`;
    };
    const share = (slider: HTMLInputElement, whole: number): number => (whole * Number(slider.value)) / 100;
    const { totalBytes, predicted } = this.#float ?? {};
    show(
      this.#budget,
      this.#budgetText,
      totalBytes === undefined ? undefined : bytesText(share(this.#budget, totalBytes)),
    );
    show(
      this.#latencyBudget,
      byId("latency-budget-text"),
      predicted && `${millisecondsText(share(this.#latencyBudget, predicted.milliseconds))}, predicted`,
    );
  }

  async #offerWebgpu(): Promise<void> {
    const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
    if (adapter) return;
    const input = this.#backends.querySelector<HTMLInputElement>('input[value="webgpu"]');
    if (input === null) return;
    input.disabled = true;
    input.closest("label")?.setAttribute("title", "This browser offers no WebGPU adapter");
  }

  #acceptFiles(events: SetupEvents): void {
    const picker = byIdAs("model-file", HTMLInputElement);
    byId("choose-model").addEventListener("click", () => picker.click());
    picker.addEventListener("change", () => {
      const files = [...(picker.files ?? [])];
      picker.value = "";
      if (files.length > 0) events.onFiles(files);
    });
    const target = document.documentElement;
    target.addEventListener("dragover", (event) => {
      event.preventDefault();
      target.classList.add("dragging");
    });
    target.addEventListener("dragleave", (event) => {
      if (event.relatedTarget === null) target.classList.remove("dragging");
    });
    target.addEventListener("drop", (event) => {
      event.preventDefault();
      target.classList.remove("dragging");
      const files = [...(event.dataTransfer?.files ?? [])];
      if (files.length > 0) events.onFiles(files);
    });
  }
}

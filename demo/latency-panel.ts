/** Run times as a histogram, and the comparison with onnxruntime-web below it. */
import type { Diagnostic } from "../runtime/index.ts";
import type { Agreement } from "./agreement.ts";
import { button, byId, byIdAs, element } from "./element.ts";
import { type Series, showHistogram } from "./histogram.ts";
import type { Times } from "./measure.ts";
import { showProblem } from "./problem.ts";
import { ascending, millisecondsText, quantile, ratioText } from "./quantity.ts";

export interface Comparison {
  readonly version: string;
  readonly peerReady: number;
  readonly ownReady: number;
  readonly agreement: Agreement | undefined;
  /** The package is smaller than float32. */
  readonly reduced: boolean;
  /** What the reader must know to read the ratio right, such as a reduced package. */
  readonly caveats: readonly string[];
}

const median = (values: readonly number[]): number => quantile(ascending(values), 0.5);

function timesTable(rows: readonly (readonly [name: string, times: Times, ready: number])[]): HTMLTableElement {
  const heads = ["", "median", "p95", "from the page", "ready after"].map((text) =>
    element("th", { scope: "col" }, text),
  );
  const body = rows.map(([name, times, ready]) => {
    const engine = ascending(times.engine);
    const cells = [quantile(engine, 0.5), quantile(engine, 0.95), median(times.roundTrip), ready];
    return element(
      "tr",
      {},
      element("th", { scope: "row" }, ...name.split(/(?<=-)/).flatMap((part) => [part, element("wbr")])),
      ...cells.map((value) => element("td", { class: "number" }, millisecondsText(value))),
    );
  });
  return element("table", {}, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...body));
}

/** `reduced`: the package stores weights in fewer bits, so its outputs are meant to be near, not equal. */
function agreementText({ relativeError, close, mismatch }: Agreement, reduced: boolean): string {
  if (mismatch !== undefined) return `Outputs cannot be compared: ${mismatch}.`;
  if (reduced)
    return `Reduced weights move the outputs by at most ${(100 * relativeError).toPrecision(2)} % of the largest.`;
  const distance = `largest difference ${relativeError.toExponential(1)} of the largest output`;
  return close ? `Outputs agree: ${distance}.` : `Outputs differ: ${distance}.`;
}

export class LatencyPanel {
  readonly #histogram = byId("histogram");
  readonly #peer = byId("peer");
  readonly #measure = byIdAs("measure", HTMLButtonElement);
  readonly #runs = byIdAs("runs", HTMLSelectElement);
  readonly #onCompare: () => void;
  #series: readonly Series[] = [];

  constructor(events: { onMeasure(): void; onCompare(): void }) {
    this.#onCompare = events.onCompare;
    this.#measure.addEventListener("click", () => events.onMeasure());
    this.#runs.addEventListener("change", () => events.onMeasure());
    new ResizeObserver(() => showHistogram(this.#histogram, this.#series)).observe(this.#histogram);
    this.offerPeer();
  }

  get runs(): number {
    return Number(this.#runs.value);
  }

  busy(is: boolean): void {
    this.#measure.disabled = is;
  }

  clear(): void {
    this.#series = [];
    this.#histogram.replaceChildren();
  }

  showTimes(own: Times, peer: Times | undefined): void {
    this.#series = [
      { name: "Leafcutter", kind: "leafcutter", values: own.engine },
      ...(peer === undefined ? [] : [{ name: "onnxruntime-web", kind: "peer", values: peer.engine } as const]),
    ];
    showHistogram(this.#histogram, this.#series);
  }

  offerPeer(): void {
    this.#peer.replaceChildren(
      element(
        "div",
        { class: "peer-offer" },
        button("Compare with onnxruntime-web", {}, this.#onCompare),
        element(
          "p",
          { class: "hint" },
          "Fetches its 14 MB runtime and runs the same model on the same input, turn by turn.",
        ),
      ),
    );
  }

  showPeerLoading(): void {
    this.#peer.replaceChildren(
      element("p", { class: "hint", role: "status" }, "Fetching and starting onnxruntime-web…"),
    );
  }

  showPeerProblem(diagnostic: Diagnostic): void {
    showProblem(this.#peer, diagnostic);
  }

  showComparison(
    own: Times,
    peer: Times,
    { version, peerReady, ownReady, agreement, reduced, caveats }: Comparison,
  ): void {
    const ratio = median(peer.engine) / median(own.engine);
    const verdict = ratio >= 1 ? "as fast as" : "slower than";
    const table = timesTable([
      ["Leafcutter", own, ownReady],
      ["onnxruntime-web", peer, peerReady],
    ]);
    this.#peer.dataset.ratio = String(ratio);
    this.#peer.dataset.agreement = agreement === undefined ? "" : String(agreement.relativeError);
    this.#peer.replaceChildren(
      element(
        "p",
        { class: ratio >= 1 ? "verdict" : "verdict behind" },
        element("strong", {}, ratioText(ratio >= 1 ? ratio : 1 / ratio)),
        element("span", {}, `${verdict} onnxruntime-web ${version} (median of ${own.engine.length} runs)`),
      ),
      element("div", { class: "scroll" }, table),
      ...(agreement === undefined
        ? []
        : [
            element(
              "p",
              { class: agreement.close || reduced ? "agreement" : "agreement apart" },
              agreementText(agreement, reduced),
            ),
          ]),
      element(
        "p",
        { class: "hint" },
        [
          "Each in its own worker on one thread, in turns, on the same input; median and p95 are taken inside the worker.",
          "onnxruntime-web: CPU build with SIMD, all graph optimisations.",
          "Ready counts from the request to a model that can run; Leafcutter's package is compiled by then.",
          ...caveats,
        ].join(" "),
      ),
    );
  }
}

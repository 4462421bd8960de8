/** Runs an embedded network on all its test images and counts what is right, beside onnxruntime-web when that is open. */
import type { Tensor } from "../runtime/index.ts";
import { button, element } from "./element.ts";
import { indexOfLargest } from "./prediction.ts";

export interface AccuracyOptions {
  readonly truths: readonly number[];
  /** Logits of the image at `index`. */
  run(index: number): Promise<Tensor | undefined>;
  /** The same by onnxruntime-web; undefined when it is not open. */
  peerRun(index: number): Promise<Tensor | undefined>;
  onFailure(error: unknown): void;
}

const oneDecimal = (share: number): string => `${(100 * share).toFixed(1)} %`;

async function count({ truths, run, peerRun }: AccuracyOptions, onProgress: (done: number) => void): Promise<string> {
  let [right, peerRight, same, peerCount] = [0, 0, 0, 0];
  for (const [index, truth] of truths.entries()) {
    const ours = await run(index);
    if (ours === undefined) break;
    const answer = indexOfLargest(ours.data as Float32Array);
    if (answer === truth) right += 1;
    const theirs = await peerRun(index);
    if (theirs !== undefined) {
      const peerAnswer = indexOfLargest(theirs.data as Float32Array);
      peerCount += 1;
      if (peerAnswer === truth) peerRight += 1;
      if (peerAnswer === answer) same += 1;
    }
    onProgress(index + 1);
  }
  const total = truths.length;
  const own = `${right} of ${total} right (${oneDecimal(right / total)})`;
  if (peerCount < total) return own;
  return `${own}, onnxruntime-web ${peerRight}; same answer on ${same}`;
}

/** Replaces the content of `host`. */
export function showAccuracy(host: HTMLElement, options: AccuracyOptions): void {
  const text = element("span", { role: "status" });
  const start = button(`Classify all ${options.truths.length} test images`, { class: "quiet" }, () => {
    start.disabled = true;
    const show = (done: number): void => {
      if (done % 20 === 0) text.textContent = `${done} of ${options.truths.length}`;
    };
    count(options, show)
      .then((result) => {
        text.textContent = result;
      }, options.onFailure)
      .finally(() => {
        start.disabled = false;
      });
  });
  host.replaceChildren(start, text);
}

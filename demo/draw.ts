/** A sheet of paper to draw on with mouse, pen or finger. */
import { element } from "./element.ts";
import type { Pixels } from "./images.ts";

/** Pixels of the sheet's side, whatever size it is shown in. */
export const sheetSize = 280;

const strokeWidth = 22;

export class Sheet {
  readonly canvas: HTMLCanvasElement;
  readonly #context: CanvasRenderingContext2D;
  #last: readonly [x: number, y: number] | undefined;

  /** @param onChange is called after every piece of a stroke, and when the sheet is cleared. */
  constructor(onChange: () => void) {
    this.canvas = element("canvas", {
      class: "sheet",
      width: sheetSize,
      height: sheetSize,
      role: "img",
      "aria-label": "Sheet to draw a digit on. With a keyboard, choose one of the test images below instead.",
    });
    const context = this.canvas.getContext("2d", { willReadFrequently: true });
    if (context === null) throw new Error("this browser gives no 2D canvas");
    this.#context = context;
    this.#wipe();

    this.canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      event.preventDefault();
      this.canvas.setPointerCapture(event.pointerId);
      this.#stroke(event);
      onChange();
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (this.#last === undefined) return;
      const pieces = event.getCoalescedEvents?.() ?? [];
      for (const piece of pieces.length > 0 ? pieces : [event]) this.#stroke(piece);
      onChange();
    });
    const lift = (): void => {
      this.#last = undefined;
    };
    this.canvas.addEventListener("pointerup", lift);
    this.canvas.addEventListener("pointercancel", lift);
  }

  /** Ink, 0 to 255, row by row. */
  ink(): Pixels {
    const { data } = this.#context.getImageData(0, 0, sheetSize, sheetSize);
    return Uint8Array.from({ length: sheetSize * sheetSize }, (_, i) => 255 - (data[4 * i] ?? 255));
  }

  /** Shows an image instead of strokes; the next stroke goes on top of it. */
  show(image: CanvasImageSource): void {
    this.#wipe();
    this.#context.drawImage(image, 0, 0, sheetSize, sheetSize);
  }

  clear(): void {
    this.#wipe();
  }

  #wipe(): void {
    this.#context.fillStyle = "#fff";
    this.#context.fillRect(0, 0, sheetSize, sheetSize);
  }

  #stroke(event: PointerEvent): void {
    const box = this.canvas.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * sheetSize;
    const y = ((event.clientY - box.top) / box.height) * sheetSize;
    const [fromX, fromY] = this.#last ?? [x, y];
    const context = this.#context;
    context.strokeStyle = "#000";
    context.lineWidth = strokeWidth;
    context.lineCap = "round";
    context.lineJoin = "round";
    context.beginPath();
    context.moveTo(fromX, fromY);
    context.lineTo(x, y);
    context.stroke();
    this.#last = [x, y];
  }
}

/** Where an embedded network's input comes from: a sheet to draw on, a photo, or one of the test images. */

import { Sheet, sheetSize } from "./draw.ts";
import { button, element } from "./element.ts";
import { centreInk, type Pixels, paintOnCanvas, pixelsOfPhoto, type TestImage } from "./images.ts";
import type { EmbeddedModel } from "./models.ts";

/** An image and, where it is a test image, its class. */
export interface Picture {
  readonly pixels: Pixels;
  readonly truth?: number;
}

export interface ImagePanelOptions {
  readonly input: HTMLElement;
  readonly gallery: HTMLElement;
  readonly embedded: EmbeddedModel;
  readonly images: readonly TestImage[];
  /** undefined: the sheet is empty. */
  onPicture(picture: Picture | undefined): void;
  onFailure(error: unknown): void;
}

const galleryLength = 40;

/** Test images of all classes in turn, a different set for every `page`. */
function selection(images: readonly TestImage[], classes: number, page: number): readonly TestImage[] {
  const byClass = Array.from({ length: classes }, (_, label) => images.filter((image) => image.label === label));
  return Array.from({ length: galleryLength }, (_, index) => {
    const own = byClass[index % classes] ?? [];
    return own[(page * Math.ceil(galleryLength / classes) + Math.floor(index / classes)) % Math.max(1, own.length)];
  }).filter((image) => image !== undefined);
}

export class ImagePanel {
  readonly #options: ImagePanelOptions;
  readonly #canvas: HTMLCanvasElement;
  readonly #sheet: Sheet | undefined;
  #page = 0;
  #frame: number | undefined;
  #thumbnails: ReadonlyMap<TestImage, HTMLButtonElement> = new Map();

  constructor(options: ImagePanelOptions) {
    this.#options = options;
    const { input, embedded } = options;
    const drawn = embedded.format.channels === 1;
    this.#sheet = drawn ? new Sheet(() => this.#drawn()) : undefined;
    this.#canvas =
      this.#sheet?.canvas ??
      element("canvas", { class: "picture", role: "img", "aria-label": "The image that the model sees" });
    const file = element("input", {
      type: "file",
      accept: "image/*",
      class: "visually-hidden",
      tabindex: -1,
      "aria-label": "Photo",
    });
    file.addEventListener("change", () => {
      const photo = file.files?.[0];
      file.value = "";
      if (photo !== undefined) void this.showPhoto(photo);
    });
    const actions = [
      ...(drawn ? [button("Clear", { class: "quiet" }, () => this.#clear())] : []),
      button("Photo…", { class: "quiet" }, () => file.click()),
    ];
    const hint = drawn ? "Draw a digit here" : "Choose or drop a photo, or take a test image";
    input.replaceChildren(
      element("div", { class: "frame" }, this.#canvas),
      element("div", { class: "actions" }, element("span", { class: "hint" }, hint), ...actions, file),
    );
    this.#showGallery();
    const [first] = selection(options.images, embedded.classes.length, 0).slice(drawn ? 3 : 8);
    if (first !== undefined) this.#showTestImage(first);
  }

  /** Shows a photo and takes it as input; reports a file that is no picture. */
  async showPhoto(photo: Blob): Promise<void> {
    const { embedded, onPicture, onFailure } = this.#options;
    try {
      const pixels = await pixelsOfPhoto(photo, embedded.format);
      this.#show(pixels);
      this.#mark(undefined);
      onPicture({ pixels });
    } catch (error) {
      onFailure(error);
    }
  }

  /** At most once a frame: pens report their moves more often. */
  #drawn(): void {
    if (this.#frame !== undefined) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = undefined;
      const { embedded, onPicture } = this.#options;
      const ink = this.#sheet?.ink();
      if (ink === undefined) return;
      this.#mark(undefined);
      onPicture({ pixels: centreInk(ink, sheetSize, sheetSize, embedded.format) });
    });
  }

  #clear(): void {
    if (this.#frame !== undefined) cancelAnimationFrame(this.#frame);
    this.#frame = undefined;
    this.#sheet?.clear();
    this.#mark(undefined);
    this.#options.onPicture(undefined);
  }

  #show(pixels: Pixels): void {
    const { format } = this.#options.embedded;
    if (this.#sheet === undefined) {
      paintOnCanvas(this.#canvas, pixels, format);
      return;
    }
    const image = element("canvas");
    paintOnCanvas(image, pixels, format);
    this.#sheet.show(image);
  }

  #showTestImage(image: TestImage): void {
    this.#show(image.pixels);
    this.#mark(image);
    this.#options.onPicture({ pixels: image.pixels, truth: image.label });
  }

  #mark(chosen: TestImage | undefined): void {
    for (const [image, node] of this.#thumbnails) node.setAttribute("aria-pressed", String(image === chosen));
  }

  #showGallery(): void {
    const { gallery, embedded, images } = this.#options;
    const shown = selection(images, embedded.classes.length, this.#page);
    this.#thumbnails = new Map(
      shown.map((image) => {
        const canvas = element("canvas");
        paintOnCanvas(canvas, image.pixels, embedded.format);
        const node = button(
          "",
          {
            class: "thumbnail",
            "aria-pressed": "false",
            "aria-label": `Test image: ${embedded.classes[image.label] ?? ""}`,
          },
          () => this.#showTestImage(image),
        );
        node.append(canvas);
        return [image, node];
      }),
    );
    const others = button("Others", { class: "quiet" }, () => {
      this.#page += 1;
      this.#showGallery();
    });
    gallery.replaceChildren(...this.#thumbnails.values(), others);
  }
}

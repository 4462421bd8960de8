/** A decoded picture: rows of pixels from the top, the channels of a pixel side by side, one byte each. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  /** 1 is grey, 3 is RGB. */
  readonly channels: 1 | 3;
  readonly data: Uint8Array;
}

/** Pictures of one file, made one at a time: thousands of them as tensors would not fit in memory. */
export interface Pictures {
  readonly count: number;
  readonly picture: (index: number) => Picture;
  /** One class a picture; absent where the file has none. */
  readonly labels?: readonly number[];
}

/** The planes of channels of `source` as pixels. */
export function fromPlanes(source: Uint8Array, width: number, height: number): Picture {
  const pixels = width * height;
  const data = new Uint8Array(pixels * 3);
  for (let channel = 0; channel < 3; channel++)
    for (let i = 0; i < pixels; i++) data[i * 3 + channel] = source[channel * pixels + i] as number;
  return { width, height, channels: 3, data };
}

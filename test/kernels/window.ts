/** The windows of convolutions as tests write them down, as the fields of problems and as ONNX's attributes. */
export interface Window {
  readonly batch?: number;
  readonly size: readonly [number, number];
  readonly kernel: readonly [number, number];
  readonly stride?: number;
  readonly dilation?: number;
  readonly pads?: readonly [number, number, number, number];
}

/** `extent` is the length of the output along an axis; by default what the windows of a convolution leave. */
export function windowFields(window: Window, extent = extentOf(window)) {
  const { batch = 1, size, kernel, stride = 1, dilation = 1, pads = [0, 0, 0, 0] } = window;
  return {
    batch,
    inputHeight: size[0],
    inputWidth: size[1],
    outputHeight: extent(0),
    outputWidth: extent(1),
    kernelHeight: kernel[0],
    kernelWidth: kernel[1],
    strideHeight: stride,
    strideWidth: stride,
    dilationHeight: dilation,
    dilationWidth: dilation,
    padTop: pads[0],
    padLeft: pads[1],
  };
}

export function windowAttributes({ kernel, stride = 1, dilation = 1, pads = [0, 0, 0, 0] }: Window, groups: number) {
  return {
    strides: [stride, stride],
    dilations: [dilation, dilation],
    pads: [...pads],
    group: groups,
    kernel_shape: [...kernel],
  };
}

const extentOf =
  ({ size, kernel, stride = 1, dilation = 1, pads = [0, 0, 0, 0] }: Window) =>
  (axis: 0 | 1): number =>
    Math.floor((size[axis] + pads[axis] + pads[axis + 2]! - (kernel[axis] - 1) * dilation - 1) / stride) + 1;

/**
 * Strided windows of buffers: dense views, views with a halo, sub-windows, broadcasts. Pure descriptions;
 * nothing here knows where a buffer lies.
 */
import { byteSize, type DType } from "../../runtime/format/dtype.ts";
import { addDims, type Dim, multiplyDims, productOf, sameDim } from "../graph/dimension.ts";
import type { Buffer, Halo, View } from "../kernels/contract.ts";

/** Byte strides of a row-major tensor. */
export function denseStrides(dtype: DType, shape: readonly Dim[]): readonly Dim[] {
  const strides: Dim[] = [];
  let stride: Dim = byteSize[dtype];
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride = multiplyDims(stride, shape[axis] as Dim);
  }
  return strides;
}

/** Bytes of a row-major tensor. */
export const denseBytes = (dtype: DType, shape: readonly Dim[]): Dim => multiplyDims(productOf(shape), byteSize[dtype]);

/** A row-major view at the start of a buffer. */
export const denseView = (buffer: Buffer, dtype: DType, shape: readonly Dim[], offset: Dim = 0): View => ({
  buffer,
  offset,
  dtype,
  shape,
  strides: denseStrides(dtype, shape),
});

/** Whether the view's elements stand in row-major order without gaps. Axes of extent 1 may have any stride. */
export function isDense(view: View): boolean {
  let stride: Dim = byteSize[view.dtype];
  for (let axis = view.shape.length - 1; axis >= 0; axis--) {
    const extent = view.shape[axis] as Dim;
    if (extent === 1) continue;
    if (!sameDim(view.strides[axis] as Dim, stride)) return false;
    stride = multiplyDims(stride, extent);
  }
  return true;
}

/** Layout of an NHWC tensor with a border: neighbouring rows share their side borders, so a row is `width + max(left, right)` pixels apart. */
export interface HaloLayout {
  readonly rowPixels: Dim;
  readonly rows: Dim;
  /** Pixels before the first inner pixel. */
  readonly lead: Dim;
  /** Pixels of one image, border included. */
  readonly imagePixels: Dim;
}

export function haloLayout(shape: readonly Dim[], halo: Halo): HaloLayout {
  const [, height, width] = shape as readonly [Dim, Dim, Dim, Dim];
  const rowPixels = addDims(width, Math.max(halo.left, halo.right));
  const rows = addDims(height, halo.top + halo.bottom);
  const lead = addDims(multiplyDims(rowPixels, halo.top), halo.left);
  // The last row's right border has no next row to share with.
  return {
    rowPixels,
    rows,
    lead,
    imagePixels: addDims(multiplyDims(rowPixels, rows), halo.left > 0 ? Math.max(0, halo.right) : 0),
  };
}

/** Bytes of a tensor of `shape` with `halo` around it. */
export const haloBytes = (dtype: DType, shape: readonly Dim[], halo: Halo): Dim =>
  multiplyDims(shape[0] as Dim, haloLayout(shape, halo).imagePixels, shape[3] as Dim, byteSize[dtype]);

/** The inner window of a bordered NHWC buffer. */
export function haloView(buffer: Buffer, dtype: DType, shape: readonly Dim[], halo: Halo): View {
  const layout = haloLayout(shape, halo);
  const pixel = multiplyDims(shape[3] as Dim, byteSize[dtype]);
  return {
    buffer,
    offset: multiplyDims(layout.lead, pixel),
    dtype,
    shape,
    strides: [multiplyDims(layout.imagePixels, pixel), multiplyDims(layout.rowPixels, pixel), pixel, byteSize[dtype]],
  };
}

/** The part of `view` that starts at `offset` along `axis` and has `shape`. */
export const windowOf = (view: View, axis: number, offset: Dim, shape: readonly Dim[]): View => ({
  ...view,
  shape,
  offset: addDims(view.offset, multiplyDims(offset, view.strides[axis] as Dim)),
});

/** The same elements in row-major order under another shape; undefined when their places have no strides there. */
export function reshapedView(view: View, dtype: DType, shape: readonly Dim[]): View | undefined {
  if (isDense(view)) return { ...view, dtype, shape, strides: denseStrides(dtype, shape) };
  if (byteSize[dtype] !== byteSize[view.dtype]) return undefined;
  const strides: Dim[] = shape.map(() => byteSize[dtype]);
  let axis = shape.length - 1;
  // From the last axis: what can be walked with one stride is taken by one or more of the new axes.
  for (const { extent, stride } of joinedAxes(view).reverse()) {
    let taken: Dim = 1;
    while (!sameDim(taken, extent)) {
      if (axis < 0 || (typeof taken === "number" && typeof extent === "number" && taken > extent)) return undefined;
      strides[axis] = multiplyDims(stride, taken);
      taken = multiplyDims(taken, shape[axis] as Dim);
      axis--;
    }
  }
  return shape.slice(0, axis + 1).every((extent) => extent === 1) ? { ...view, dtype, shape, strides } : undefined;
}

/** The axes of a view without those of extent 1, neighbours joined where one stride walks both. */
function joinedAxes({ shape, strides }: View): { readonly extent: Dim; readonly stride: Dim }[] {
  const joined: { extent: Dim; stride: Dim }[] = [];
  shape.forEach((extent, axis) => {
    const stride = strides[axis] as Dim;
    const last = joined.at(-1);
    if (extent === 1) return;
    if (last && sameDim(last.stride, multiplyDims(stride, extent)))
      joined[joined.length - 1] = { extent: multiplyDims(last.extent, extent), stride };
    else joined.push({ extent, stride });
  });
  return joined;
}

/** `view` with numpy broadcasting to `shape`: repeated axes get stride 0. */
export function broadcastView(view: View, shape: readonly Dim[]): View {
  const missing = shape.length - view.shape.length;
  const strides = shape.map((_, axis) => {
    const own = view.shape[axis - missing];
    return own === undefined || own === 1 ? 0 : (view.strides[axis - missing] as Dim);
  });
  return { ...view, shape, strides };
}

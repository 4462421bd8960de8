/** An input, output or state as a line of text: name, element type, shape, and the one value that it may have. */
import type { Manifest } from "../../runtime/format/manifest.ts";

const extentText = (extent: unknown): string =>
  Array.isArray(extent) ? `(${extentText(extent[1])}${extent[0]}${extentText(extent[2])})` : String(extent);

export const portText = ({ name, dtype, shape, value }: Manifest["inputs"][number]): string =>
  `${name} ${dtype} [${shape.map(extentText).join(", ")}]${value ? ` = ${value.join(",")}` : ""}`;

/** A picture file as pixels, by sharp: upright as its EXIF says, in sRGB, without transparency, eight bits a channel. */
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import type { Picture } from "../import/samples/picture.ts";

/** Throws option-invalid naming the file. */
export async function decodePicture(bytes: Uint8Array, name: string): Promise<Picture> {
  const { default: sharp } = await import("sharp");
  try {
    const picture = sharp(bytes).autoOrient().removeAlpha().toColourspace("srgb").raw({ depth: "uchar" });
    const { data, info } = await picture.toBuffer({ resolveWithObject: true });
    return {
      width: info.width,
      height: info.height,
      channels: info.channels === 1 ? 1 : 3,
      data: new Uint8Array(data),
    };
  } catch (cause) {
    throw new LeafcutterError(
      {
        code: "option-invalid",
        where: name,
        message: "the picture cannot be decoded",
        expected: ".png, .jpg, .webp, .avif, .gif or .tif",
        received: cause instanceof Error ? cause.message : String(cause),
        advice: "Save the picture again, or take it out of the samples.",
      },
      { cause },
    );
  }
}

import sharp from "sharp";
import { expect, test } from "vitest";
import { decodePicture } from "../../compiler/cli/decode-picture.ts";
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";

/** Two pixels: red, blue. */
const pixels = sharp(Buffer.from([250, 0, 0, 0, 0, 250]), { raw: { width: 2, height: 1, channels: 3 } });

test.each(["png", "webp", "tiff", "gif"] as const)("%s without loss", async (format) => {
  const bytes = await pixels
    .clone()
    .toFormat(format, { lossless: true, ...(format === "tiff" ? { compression: "lzw" } : {}) })
    .toBuffer();
  const { width, height, channels, data } = await decodePicture(bytes, "picture");
  expect({ width, height, channels }).toEqual({ width: 2, height: 1, channels: 3 });
  expect(data.constructor).toBe(Uint8Array);
  for (const [i, value] of [250, 0, 0, 0, 0, 250].entries()) expect(Math.abs((data[i] ?? 0) - value)).toBeLessThan(12);
});

test("JPEG is turned upright", async () => {
  const wide = sharp({ create: { width: 32, height: 16, channels: 3, background: { r: 200, g: 100, b: 50 } } });
  const { width, height, data } = await decodePicture(
    await wide.jpeg({ quality: 95 }).withMetadata({ orientation: 6 }).toBuffer(),
    "phone.jpg",
  );
  expect([width, height]).toEqual([16, 32]);
  for (const [i, value] of [200, 100, 50].entries()) expect(Math.abs((data[i] ?? 0) - value)).toBeLessThan(6);
});

test("grey, grey with transparency, sixteen bits, palette and CMYK", async () => {
  const grey = sharp(Buffer.from([0, 128, 255, 64]), { raw: { width: 2, height: 2, channels: 1 } });
  const plain = await decodePicture(await grey.clone().png().toBuffer(), "grey.png");
  const deep = await decodePicture(await grey.clone().toColourspace("grey16").png().toBuffer(), "grey16.png");
  for (const picture of [plain, deep]) {
    expect(picture.data).toHaveLength(4 * picture.channels);
    expect(Array.from({ length: 4 }, (_, i) => picture.data[i * picture.channels])).toEqual([0, 128, 255, 64]);
  }
  const clear = Buffer.from([10, 0, 200, 255]);
  const seeThrough = sharp(clear, { raw: { width: 2, height: 1, channels: 2 } });
  const opaque = await decodePicture(await seeThrough.png().toBuffer(), "clear.png");
  expect(opaque.data).toHaveLength(2 * opaque.channels);
  const palette = await decodePicture(await pixels.clone().png({ palette: true }).toBuffer(), "palette.png");
  expect(palette).toMatchObject({ width: 2, channels: 3 });
  const print = await decodePicture(await pixels.clone().toColourspace("cmyk").jpeg().toBuffer(), "print.jpg");
  expect(print).toMatchObject({ width: 2, height: 1, channels: 3 });
});

test("what is no picture, or ends early, is named", async () => {
  const whole = await sharp({ create: { width: 64, height: 64, channels: 3, background: "red" } })
    .jpeg()
    .toBuffer();
  for (const bytes of [new Uint8Array(0), new TextEncoder().encode("hello"), whole.subarray(0, whole.length / 2)]) {
    const error = await decodePicture(bytes, "cats/7.jpg").catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(LeafcutterError);
    expect((error as LeafcutterError).diagnostic).toMatchObject({ code: "option-invalid", where: "cats/7.jpg" });
  }
});

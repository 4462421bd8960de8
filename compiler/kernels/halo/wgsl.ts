/** WGSL of the border fill: one invocation sets the border bytes of one 32-bit word. */
import type { WgslKernel } from "../contract.ts";
import { WgslBody } from "../wgsl/body.ts";

/** Words as haloFillStep lays them out; invocations behind the last word of the images do nothing. */
export function haloWgsl(): WgslKernel {
  const body = new WgslBody();
  const [address, image, lead, inner, pitch, tail, value] = [0, 1, 2, 3, 4, 6, 7].map((index) => body.word(index));
  const total = body.let(`range(record) * ${image}`);
  const place = body.let(`(${address} >> 2u) + index`);
  body.block(`if (index * 4u < ${total})`, () => {
    const keep = body.variable("0u");
    body.block("for (var b = 0u; b < 4u; b++)", () => {
      const byte = body.let("index * 4u + b");
      const inside = body.let(`${byte} % ${image}`);
      const border = body.let(
        `${byte} < ${total} && (${inside} < ${lead} || ${inside} >= ${image} - ${tail} || (${inside} - ${lead}) % ${pitch} >= ${inner})`,
      );
      body.statement(`${keep} |= select(0xffu << (8u * b), 0u, ${border});`);
    });
    body.statement(`setCell(${place}, (cell(${place}) & ${keep}) | ((${value} * 0x01010101u) & ~${keep}));`);
  });
  return body.end();
}

/** Runs the package that the server has. */
import { load } from "leafcutter";

async function main() {
  const pixels = new Float32Array(await (await fetch("/files/pixels.bin")).arrayBuffer());
  const session = await load("/files/digits");
  const { logits } = await session.run({ image: { data: pixels } });
  const { variant, notes } = await session.stats();
  await session.dispose();
  return { served: { logits: Array.from(logits.data), variant, notes } };
}

document.documentElement.dataset.result = JSON.stringify(await main().catch((error) => ({ error: String(error) })));

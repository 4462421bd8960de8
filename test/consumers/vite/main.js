/** Runs the package that the server has, then compiles the same model here and runs that. */
import { load } from "leafcutter";
import { compile, urlSource } from "leafcutter/compiler";

const pixels = new Float32Array(await (await fetch("/files/pixels.bin")).arrayBuffer());

async function answerOf(source) {
  const session = await load(source);
  const { logits } = await session.run({ image: { data: pixels } });
  const { variant, notes } = await session.stats();
  await session.dispose();
  return { logits: Array.from(logits.data), variant, notes };
}

async function main() {
  const served = await answerOf("/files/digits");
  const { files } = await compile(urlSource(new URL("/files/digits.onnx", location.href)));
  const compiled = await answerOf(Object.fromEntries(files));
  return { served, compiled };
}

document.documentElement.dataset.result = JSON.stringify(await main().catch((error) => ({ error: String(error) })));

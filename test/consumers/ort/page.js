/** Written for onnxruntime-web; the import map says what runs it. */
import * as ort from "ort";

ort.env.logLevel = "error";
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = "/onnxruntime-web/";

const options = { executionProviders: ["wasm"], graphOptimizationLevel: "all", enableMemPattern: true };

const plain = ({ type, dims, size, location, data }) => ({ type, dims, size, location, data: Array.from(data) });

async function main() {
  const pixels = new Float32Array(await (await fetch("/files/pixels.bin")).arrayBuffer());
  const session = await ort.InferenceSession.create("/files/digits.onnx", options);
  const [name] = session.inputNames;
  const feeds = { [name]: new ort.Tensor("float32", pixels, [1, 1, 28, 28]) };
  const all = await session.run(feeds);
  const chosen = await session.run(feeds, ["logits"], { tag: "second" });
  const place = new ort.Tensor("float32", new Float32Array(10), [1, 10]);
  const filled = await session.run(feeds, { logits: place });
  const data = await all.logits.getData();
  const reshaped = all.logits.reshape([2, 5]);
  const metadata = [...session.inputMetadata, ...session.outputMetadata];
  const missing = await session.run({}).catch((error) => error instanceof Error);
  await session.release();

  const bytes = await (await fetch("/files/digits.onnx")).arrayBuffer();
  const again = await ort.InferenceSession.create(new Uint8Array(bytes), options);
  const second = await again.run({ [name]: new ort.Tensor(pixels, [1, 1, 28, 28]) });
  await again.release();
  return {
    inputNames: session.inputNames,
    outputNames: session.outputNames,
    metadata: metadata.map(({ name, isTensor, type, shape }) => ({ name, isTensor, type, rank: shape.length })),
    logits: [all.logits, chosen.logits, second.logits, reshaped].map(plain),
    same: [data === all.logits.data, filled.logits === place],
    integers: plain(new ort.Tensor("int64", [1, -2], [2])).data.map(String),
    booleans: plain(new ort.Tensor("bool", [true, false, true])),
    missing,
  };
}

document.documentElement.dataset.result = JSON.stringify(await main().catch((error) => ({ error: String(error) })));

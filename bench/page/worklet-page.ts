/** Renders seeded audio through the AudioWorklet and through the Worker, and compares what came out. */
import { wrap } from "comlink";
import { prepare } from "../../runtime/index.ts";
import { sampleRate, shift, syntheticAudio } from "./noise-suppressor.ts";
import type { SuppressorWorker } from "./suppressor-worker.ts";
import type { ProcessorOptions, ProcessorReport } from "./worklet-processor.ts";

export interface WorkletJob {
  /** Addresses of the mask model and the separation model. */
  readonly packages: readonly [string, string];
  readonly seconds: number;
}

export interface BlockTimes {
  readonly clock: string;
  readonly median: number;
  readonly p99: number;
  readonly most: number;
}

export interface WorkletResult {
  readonly quanta: number;
  /** Milliseconds of sound in one block. */
  readonly slot: number;
  readonly variant: string;
  /** Samples of the worklet that differ from the worker's in any bit. */
  readonly different: number;
  readonly largestDifference: number;
  /** Root mean square of what came out: silence would agree too. */
  readonly loudness: number;
  /** Wall time of the whole rendering over its blocks, the audio engine included. */
  readonly renderPerBlock: number;
  readonly worklet: BlockTimes;
  readonly worker: BlockTimes;
}

function summary(clock: string, milliseconds: Float32Array): BlockTimes {
  const sorted = Float32Array.from(milliseconds).sort();
  const quantile = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
  return { clock, median: quantile(0.5), p99: quantile(0.99), most: quantile(1) };
}

async function throughWorklet(
  { packages }: WorkletJob,
  samples: Float32Array<ArrayBuffer>,
): Promise<{
  readonly samples: Float32Array;
  readonly report: ProcessorReport;
  readonly wall: number;
  variant: string;
}> {
  const context = new OfflineAudioContext({ length: samples.length, sampleRate, numberOfChannels: 1 });
  const models = [await prepare(packages[0]), await prepare(packages[1])] as const;
  await context.audioWorklet.addModule(new URL("./worklet-processor.ts", import.meta.url));
  const processorOptions: ProcessorOptions = { models, quanta: samples.length / shift };
  const node = new AudioWorkletNode(context, "noise-suppressor", { processorOptions });
  const report = new Promise<ProcessorReport>((resolve, reject) => {
    node.port.onmessage = ({ data }) => resolve(data as ProcessorReport);
    node.port.onmessageerror = () => reject(new Error("the worklet's answer did not arrive"));
    node.onprocessorerror = () => reject(new Error("the worklet's processor failed"));
  });
  const buffer = context.createBuffer(1, samples.length, sampleRate);
  buffer.copyToChannel(samples, 0);
  const source = new AudioBufferSourceNode(context, { buffer });
  source.connect(node).connect(context.destination);
  source.start();
  const start = performance.now();
  const [rendered, times] = await Promise.all([context.startRendering(), report]);
  const wall = performance.now() - start;
  return { samples: rendered.getChannelData(0), report: times, wall, variant: models[0].variant };
}

async function run(job: WorkletJob): Promise<WorkletResult> {
  const samples = syntheticAudio(job.seconds);
  const absolute = job.packages.map((address) => new URL(address, location.href).href);
  const [first = "", second = ""] = absolute;
  const thread = new Worker(new URL("./suppressor-worker.ts", import.meta.url), { type: "module" });
  const expected = await wrap<SuppressorWorker>(thread).suppress([first, second], samples);
  thread.terminate();
  const rendered = await throughWorklet({ ...job, packages: [first, second] }, samples);
  let [different, largestDifference, energy] = [0, 0, 0];
  for (const [index, sample] of rendered.samples.entries()) {
    const difference = Math.abs(sample - (expected.samples[index] ?? Number.NaN));
    if (difference !== 0) different += 1;
    if (!(difference <= largestDifference)) largestDifference = difference;
    energy += sample * sample;
  }
  const quanta = samples.length / shift;
  return {
    quanta,
    slot: (1000 * shift) / sampleRate,
    variant: rendered.variant,
    different,
    largestDifference,
    loudness: Math.sqrt(energy / samples.length),
    renderPerBlock: rendered.wall / quanta,
    worklet: summary(rendered.report.clock, rendered.report.milliseconds),
    worker: summary("performance.now", expected.milliseconds),
  };
}

Object.assign(globalThis, { leafcutterWorklet: run });

/**
 * The signal path of DTLN (Westhausen and Meyer, Interspeech 2020): every 128 new samples at 16 kHz make a frame of 512,
 * whose magnitude spectrum the first model masks; the second model works on the masked frame; frames overlap and add.
 * Each model keeps a recurrent state. Needs nothing but the language: it runs in worklets.
 */
import type { LocalSession } from "../../runtime/worklet.ts";
import { Fourier } from "./fourier.ts";

export const sampleRate = 16_000;
/** New samples of a frame: one render quantum of Web Audio. */
export const shift = 128;
const frame = 512;
const bins = frame / 2 + 1;

/** One of the two models: a signal goes in and out, and a state of its own with it. */
class RecurrentModel {
  readonly #session: LocalSession;
  readonly #names: readonly [signal: string, state: string, result: string, next: string];
  #state: Float32Array;

  constructor(session: LocalSession) {
    const [signal, state] = session.inputs;
    const [result, next] = session.outputs;
    if (signal === undefined || state === undefined || result === undefined || next === undefined) {
      throw new TypeError("a model of DTLN has a signal and a state, in and out");
    }
    this.#session = session;
    this.#names = [signal.name, state.name, result.name, next.name];
    this.#state = new Float32Array(state.shape.reduce<number>((product, extent) => product * Number(extent), 1));
  }

  run(signal: Float32Array): Float32Array {
    const [signalName, stateName, resultName, nextName] = this.#names;
    const outputs = this.#session.runSync({ [signalName]: { data: signal }, [stateName]: { data: this.#state } });
    this.#state = outputs[nextName]?.data as Float32Array;
    return outputs[resultName]?.data as Float32Array;
  }
}

export class NoiseSuppressor {
  readonly #mask: RecurrentModel;
  readonly #separation: RecurrentModel;
  readonly #fourier = new Fourier(frame);
  readonly #heard = new Float32Array(frame);
  readonly #sum = new Float32Array(frame);
  readonly #real = new Float64Array(frame);
  readonly #imaginary = new Float64Array(frame);
  readonly #magnitude = new Float32Array(bins);
  readonly #masked = new Float32Array(frame);

  /** @param mask the first model: magnitudes to a mask. @param separation the second: a frame to a frame. */
  constructor(mask: LocalSession, separation: LocalSession) {
    this.#mask = new RecurrentModel(mask);
    this.#separation = new RecurrentModel(separation);
  }

  /** Takes `shift` samples and gives as many, 384 samples late. */
  process(input: Float32Array, output: Float32Array): void {
    this.#heard.copyWithin(0, shift);
    this.#heard.set(input, frame - shift);
    this.#spectrum();
    const mask = this.#mask.run(this.#magnitude);
    this.#applyMask(mask);
    const separated = this.#separation.run(this.#masked);
    this.#sum.copyWithin(0, shift);
    this.#sum.fill(0, frame - shift);
    for (let index = 0; index < frame; index++) this.#sum[index] = (this.#sum[index] ?? 0) + (separated[index] ?? 0);
    output.set(this.#sum.subarray(0, shift));
  }

  #spectrum(): void {
    this.#real.set(this.#heard);
    this.#imaginary.fill(0);
    this.#fourier.forward(this.#real, this.#imaginary);
    for (let bin = 0; bin < bins; bin++) {
      const [real, imaginary] = [this.#real[bin] ?? 0, this.#imaginary[bin] ?? 0];
      this.#magnitude[bin] = Math.sqrt(real * real + imaginary * imaginary);
    }
  }

  /** The spectrum times a real mask, back in time. */
  #applyMask(mask: Float32Array): void {
    for (let bin = 0; bin < bins; bin++) {
      const factor = mask[bin] ?? 0;
      this.#scale(bin, factor);
      if (bin > 0 && bin < frame - bin) this.#scale(frame - bin, factor);
    }
    this.#fourier.inverse(this.#real, this.#imaginary);
    this.#masked.set(this.#real);
  }

  #scale(bin: number, factor: number): void {
    this.#real[bin] = (this.#real[bin] ?? 0) * factor;
    this.#imaginary[bin] = (this.#imaginary[bin] ?? 0) * factor;
  }
}

/** Seeded speech-like samples: a gliding voice with harmonics that comes and goes, in noise. */
export function syntheticAudio(seconds: number, seed = 1): Float32Array<ArrayBuffer> {
  const samples = new Float32Array(Math.ceil((seconds * sampleRate) / shift) * shift);
  let state = seed;
  let phase = 0;
  for (let index = 0; index < samples.length; index++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const time = index / sampleRate;
    phase += (120 + 40 * Math.sin(1.7 * time)) / sampleRate;
    const angle = 2 * Math.PI * phase;
    const voice = Math.sin(angle) + 0.5 * Math.sin(2 * angle) + 0.25 * Math.sin(5 * angle);
    const loudness = 0.15 * Math.max(0, Math.sin(2.3 * time) + 0.3 * Math.sin(11 * time));
    samples[index] = loudness * voice + 0.02 * (state / 2 ** 31 - 1);
  }
  return samples;
}

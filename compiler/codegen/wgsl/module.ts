/**
 * Kernels to WGSL: one complete compute shader each, in table order. All see the image of the whole linear memory
 * and one small uniform that says which record to run and how many invocations it has.
 * The bindings are those that runtime/format/README.md specifies.
 */
import { recordHeaderWords } from "../../../runtime/format/program.ts";
import type { ShaderSet } from "../../../runtime/format/shader.ts";
import type { Kernel, WgslKernel } from "../../kernels/contract.ts";

const workgroupSize = 64;

const plainMemory = `
@group(0) @binding(0) var<storage, read_write> memory: array<u32>;
fn cell(i: u32) -> u32 { return memory[i]; }
fn setCell(i: u32, value: u32) { memory[i] = value; }
`.trim();

/** Each invocation clears and sets bits that are its own: the order among them does not matter. */
const atomicMemory = `
@group(0) @binding(0) var<storage, read_write> memory: array<atomic<u32>>;
fn cell(i: u32) -> u32 { return atomicLoad(&memory[i]); }
fn setCell(i: u32, value: u32) { atomicStore(&memory[i], value); }
fn mergeCell(i: u32, mask: u32, bits: u32) { atomicAnd(&memory[i], ~mask); atomicOr(&memory[i], bits); }
`.trim();

const head = `
struct Dispatch { record: u32, invocations: u32 }
@group(0) @binding(1) var<uniform> dispatch: Dispatch;
fn word(record: u32, index: u32) -> u32 { return cell((record >> 2u) + ${recordHeaderWords}u + index); }
fn range(record: u32) -> u32 { return cell((record >> 2u) + 1u); }
`.trim();

const tail = `
@compute @workgroup_size(${workgroupSize})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let index = (group.y * groups.x + group.x) * ${workgroupSize}u + lane;
  if (index < dispatch.invocations) { run(index, dispatch.record); }
}
`.trim();

export function generateShaders(kernels: readonly Kernel[]): ShaderSet {
  const shaders = kernels.map((kernel) => {
    const code = kernel.emitWgsl?.();
    return code === undefined ? null : shaderOf(code);
  });
  return { workgroupSize, shaders };
}

function shaderOf({ prelude, body, writesParts }: WgslKernel): string {
  return [
    writesParts ? atomicMemory : plainMemory,
    head,
    ...prelude,
    `fn run(index: u32, record: u32) {\n${body}\n}`,
    tail,
  ].join("\n");
}

/** Reports what a module worker can do here; WebGPU is judged by a shader that ran, not by the presence of the API. */
export interface Environment {
  readonly isolated: boolean;
  /** Undefined where the browser has none, isolated or not. */
  readonly shared: SharedArrayBuffer | undefined;
  readonly webgpu:
    | { readonly kind: "absent"; readonly reason: string }
    | { readonly kind: "computed"; readonly doubled: Uint32Array };
}

const shader = `
@group(0) @binding(0) var<storage, read_write> values: array<u32>;
@compute @workgroup_size(4) fn main(@builtin(global_invocation_id) id: vec3u) { values[id.x] = 2u * id.x; }`;

async function double(device: GPUDevice): Promise<Uint32Array> {
  const size = 16;
  const values = device.createBuffer({ size, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC });
  const readable = device.createBuffer({ size, usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ });
  const module = device.createShaderModule({ code: shader });
  const pipeline = await device.createComputePipelineAsync({ layout: "auto", compute: { module } });
  const bindings = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: [{ binding: 0, resource: { buffer: values } }],
  });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, bindings);
  pass.dispatchWorkgroups(1);
  pass.end();
  encoder.copyBufferToBuffer(values, 0, readable, 0, size);
  device.queue.submit([encoder.finish()]);
  await readable.mapAsync(GPUMapMode.READ);
  return new Uint32Array(readable.getMappedRange().slice(0));
}

async function webgpu(): Promise<Environment["webgpu"]> {
  if (!("gpu" in navigator)) return { kind: "absent", reason: "navigator.gpu is undefined" };
  const adapter = await navigator.gpu.requestAdapter();
  if (adapter === null) return { kind: "absent", reason: "requestAdapter() gave null" };
  const device = await adapter.requestDevice();
  try {
    return { kind: "computed", doubled: await double(device) };
  } finally {
    device.destroy();
  }
}

const environment: Environment = {
  isolated: crossOriginIsolated,
  shared: typeof SharedArrayBuffer === "undefined" ? undefined : new SharedArrayBuffer(4),
  webgpu: await webgpu(),
};
postMessage(environment);

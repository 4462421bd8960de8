/** A shader set from an attacker's hands: its shape is checked here, its WGSL by the browser that compiles it. */
import type { ShaderSet } from "./shader.ts";
import { UntrustedReader } from "./untrusted.ts";

/** The limit that every WebGPU device has. */
const maximumWorkgroupSize = 256;
const maximumShaderLength = 1_000_000;

/** Throws LeafcutterError package-invalid unless there is one entry for each of `kernels` kernels. */
export function validateShaders(value: unknown, kernels: number): ShaderSet {
  const reader = new UntrustedReader("package-invalid");
  const set = reader.object(value, "shaders");
  reader.integer(set.workgroupSize, "shaders.workgroupSize", 1, maximumWorkgroupSize);
  const shaders = reader.list(set.shaders, "shaders.shaders", kernels, (shader, where) => {
    if (shader !== null && (typeof shader !== "string" || shader.length > maximumShaderLength)) {
      reader.fail(where, "WGSL or null", shader);
    }
    return shader;
  });
  if (shaders.length !== kernels) reader.fail("shaders.shaders", `${kernels} shaders`, shaders.length);
  return value as ShaderSet;
}

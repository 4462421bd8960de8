/** What a shader set may be, and which kernels get a shader. */
import { describe, expect, it } from "vitest";
import { generateShaders } from "../../compiler/codegen/wgsl/module.ts";
import { bindLoopNest } from "../../compiler/kernels/loop/bind.ts";
import { along } from "../../compiler/loop/loop.ts";
import type { DType } from "../../runtime/format/dtype.ts";
import { cast, input } from "../../runtime/format/expression.ts";
import { validateShaders } from "../../runtime/format/validate-shaders.ts";
import { denseBuffer } from "../kernels/tensors.ts";

describe("a shader set from a package", () => {
  it("has one entry for every kernel", () => {
    const set = { workgroupSize: 64, shaders: ["fn main() {}", null] };
    expect(validateShaders(set, 2)).toEqual(set);
  });

  it.each([
    ["not an object", []],
    ["no workgroup size", { shaders: [null, null] }],
    ["a workgroup larger than any device's", { workgroupSize: 512, shaders: [null, null] }],
    ["too few shaders", { workgroupSize: 64, shaders: [null] }],
    ["too many shaders", { workgroupSize: 64, shaders: [null, null, null] }],
    ["a shader that is no text", { workgroupSize: 64, shaders: [null, 7] }],
  ])("is refused with %s", (_, value) => {
    expect(() => validateShaders(value, 2)).toThrow(expect.objectContaining({ code: "package-invalid" }));
  });
});

describe("a generated shader", () => {
  const shaderOf = (from: DType, to: DType): string | null | undefined => {
    const step = bindLoopNest(
      {
        extents: [8],
        reductions: 0,
        operands: [{ dtype: from, access: [along(0)] }],
        parameters: [],
        body: cast(to, input(0)),
        output: { dtype: to, access: [along(0)] },
      },
      [denseBuffer("x", from, [8])],
      denseBuffer("y", to, [8]),
    );
    return generateShaders([step.kernel]).shaders[0];
  };

  it("is there for whole and for narrow elements", () => {
    expect(shaderOf("int32", "float32")).toContain("fn main(");
    expect(shaderOf("int32", "int64")).toContain("fn main(");
    expect(shaderOf("uint8", "float32")).toContain("loadUint8");
  });

  it("has atomic words where several write into one", () => {
    for (const dtype of ["uint8", "bool", "float16"] as const)
      expect(shaderOf("float32", dtype)).toContain("array<atomic<u32>>");
    expect(shaderOf("uint8", "float32")).not.toContain("atomic");
  });

  it("is missing for types that the device does not compute with", () => {
    expect(shaderOf("float64", "float32")).toBeNull();
  });
});

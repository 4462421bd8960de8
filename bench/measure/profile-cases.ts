/**
 * The synthetic problems of `leafcutter profile`: small and large work for every family, so that rates can follow the work.
 * No shape is that of a particular model.
 */
import {
  attention,
  conv,
  convTranspose,
  depthwise,
  type KernelCase,
  kernelCases,
  matmul,
  norm,
  pool,
  recurrent,
  reduce,
  softmax,
} from "./kernel-cases.ts";

const isPlain = ({ problem }: KernelCase): boolean => !("storage" in problem) || problem.storage === "float32";

/** float32 in many sizes; what stores its weights otherwise in those of `bench kernels`. */
export const profileCases: readonly KernelCase[] = [
  ...[
    conv({ kernel: 1, size: 112, input: 32, output: 16 }),
    conv({ kernel: 1, size: 56, input: 24, output: 144 }),
    conv({ kernel: 1, size: 28, input: 160, output: 40 }),
    conv({ kernel: 1, size: 14, input: 80, output: 480 }),
    conv({ kernel: 1, size: 14, input: 480, output: 80 }),
    conv({ kernel: 1, size: 7, input: 320, output: 1024 }),
    conv({ kernel: 1, size: 10, input: 40, output: 40 }),
    conv({ kernel: 3, size: 6, input: 24, output: 24 }),
    conv({ kernel: 3, size: 16, input: 48, output: 48 }),
    conv({ kernel: 3, size: 32, input: 96, output: 96 }),
    conv({ kernel: 3, size: 112, input: 24, output: 32 }),
    conv({ kernel: 3, size: 160, input: 3, output: 16, stride: 2 }),
    conv({ kernel: 5, size: 40, input: 16, output: 32 }),
    depthwise({ kernel: 3, size: 20, input: 48, output: 48 }),
    depthwise({ kernel: 3, size: 112, input: 32, output: 32 }),
    depthwise({ kernel: 3, size: 7, input: 960, output: 960 }),
    depthwise({ kernel: 3, size: 28, input: 240, output: 240, stride: 2 }),
    depthwise({ kernel: 5, size: 28, input: 120, output: 120 }),
    convTranspose({ kernel: 4, size: 14, input: 128, output: 64 }),
    matmul(1, 128, 512),
    matmul(1, 768, 3072),
    matmul(1, 1024, 8192),
    matmul(16, 128, 128),
    matmul(64, 320, 960),
    matmul(200, 192, 576),
    matmul(128, 768, 3072),
  ].map((cases) => cases.filter(isPlain)),
  kernelCases,
  [
    pool("max", { kernel: 3, size: 14, input: 128, output: 128 }),
    pool("max", { kernel: 2, size: 112, input: 32, output: 32, stride: 2 }),
    pool("average", { kernel: 3, size: 14, input: 128, output: 128 }),
    reduce(64, 64, 1),
    reduce(1, 49, 960),
    softmax(12, 64, 1),
    softmax(4096, 49, 1),
    norm(1, 768),
    norm(1500, 384),
    attention(6, 6, 64, 64, 64),
    attention(12, 12, 512, 512, 64),
    attention(8, 8, 1, 64, 64),
    recurrent("lstm", 1, 1, 256),
    recurrent("gru", 1, 1, 64),
  ],
].flat();

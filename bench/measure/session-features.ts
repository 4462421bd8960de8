/** How the runtime takes a package here: the variant it chooses and why, the GPU, and the second load. */
import { type Backend, LeafcutterError, load, type Stats } from "../../runtime/index.ts";
import type { Feature } from "./features.ts";

const input = { x: { data: Float32Array.of(-1) } };

async function statsOf(location: string, backend: Backend): Promise<Stats> {
  const session = await load(location, { backend });
  try {
    const { y } = await session.run(input);
    if (y?.data[0] !== 0) throw new Error(`Relu(-1) is ${String(y?.data[0])}`);
    return await session.stats();
  } finally {
    await session.dispose();
  }
}

async function attempt(location: string, backend: Backend, say: (stats: Stats) => string): Promise<string> {
  try {
    return say(await statsOf(location, backend));
  } catch (error) {
    return error instanceof LeafcutterError ? `no: ${error.code}` : `no: ${String(error)}`;
  }
}

const rejections = ({ rejected }: Stats): string =>
  rejected.map(({ variant, why }) => `; not ${variant}: ${why}`).join("");

/** The package's model is y = Relu(x) of one float, with modules and shaders. */
export async function sessionFeatures(location: string): Promise<readonly Feature[]> {
  return [
    {
      name: "variant chosen",
      seen: await attempt(location, "auto", (stats) => stats.variant + rejections(stats)),
    },
    {
      name: "second load",
      seen: await attempt(location, "auto", ({ cache }) => `cache ${cache}`),
    },
    {
      name: "asked for WebGPU",
      seen: await attempt(location, "webgpu", (stats) => stats.variant + rejections(stats)),
    },
  ];
}

/** Runs one order in a process of its own (node-child.ts) and gives its answer. */
import { fork } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Answer, Order } from "./node-child.ts";

const child = new URL("./node-child.ts", import.meta.url);
const project = dirname(dirname(fileURLToPath(child)));

/** From the sources the process and its threads have to understand TypeScript. */
function nodeOptions(): readonly string[] {
  if (!child.pathname.endsWith(".ts")) return [];
  const hook = pathToFileURL(join(project, "test/setup/typescript-in-workers.mjs")).href;
  return ["--import", "tsx", "--import", hook];
}

const limitMs = 900_000;

/** Rejects with the reason when the process fails. */
export async function inNode<K extends Order["kind"]>(
  order: Order & { readonly kind: K },
): Promise<Answer & { readonly kind: K }> {
  const answer = await new Promise<Answer>((resolve, reject) => {
    const started = fork(fileURLToPath(child), {
      cwd: project,
      execArgv: [...nodeOptions()],
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      serialization: "advanced",
      timeout: limitMs,
    });
    let errors = "";
    started.stderr?.on("data", (chunk: Buffer) => {
      errors = (errors + chunk.toString()).slice(-2000);
    });
    started.once("error", reject);
    started.once("message", (message) => resolve(message as Answer));
    started.once("exit", (code) => reject(new Error(`the process ended with code ${code}: ${errors.trim()}`)));
    started.send(order);
  });
  if (answer.kind === "failed") throw new Error(answer.reason);
  return answer as Answer & { readonly kind: K };
}

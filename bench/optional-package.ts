/** Packages that only measuring needs: the repository has them, an installed Leafcutter does not bring them. */
import { LeafcutterError } from "../runtime/format/diagnostic.ts";

/** What `load` imports. Throws LeafcutterError feature-missing where the package `name` is not installed. */
export async function optionalPackage<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    if (!isNotFound(cause)) throw cause;
    throw new LeafcutterError(
      {
        code: "feature-missing",
        where: name,
        message: "this needs a package that is not installed",
        advice: `Install it beside leafcutter: npm install --save-dev ${name}`,
      },
      { cause },
    );
  }
}

const isNotFound = (cause: unknown): boolean =>
  cause instanceof Error && "code" in cause && cause.code === "ERR_MODULE_NOT_FOUND";

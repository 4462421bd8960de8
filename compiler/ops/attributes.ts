/** A node's attributes as its reference function takes them: plain values without their kinds. */
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";
import type { ReferenceAttribute } from "../../runtime/reference/reference.ts";
import type { Node } from "../graph/graph.ts";

/** Throws operator-invalid for attributes that a reference cannot take: subgraphs and dims that are still symbolic. */
export function referenceAttributes(node: Node): Readonly<Record<string, ReferenceAttribute>> {
  const plain: Record<string, ReferenceAttribute> = {};
  for (const [name, attribute] of Object.entries(node.attributes)) {
    const symbolic = attribute.kind === "dims" && attribute.value.some((dim) => typeof dim !== "number");
    if (attribute.kind === "graph" || symbolic) {
      throw new LeafcutterError({
        code: "operator-invalid",
        where: `node ${node.name} (${node.op})`,
        message: `attribute ${name} cannot be given to a reference function`,
        received: attribute.kind === "graph" ? "a subgraph" : "symbolic dimensions",
        advice: "Bind the model's dimensions to numbers with --dim name=N.",
      });
    }
    plain[name] = attribute.kind === "dims" ? (attribute.value as readonly number[]) : attribute.value;
  }
  return plain;
}

/**
 * Which tensor of a data set belongs to which input or output of a model: the one of the same name, else the one
 * at the same position (data sets often carry other names than the model, or none).
 */

export interface NamedTensor {
  /** May be empty or foreign. */
  readonly name: string;
  /** Position among the model's inputs (or outputs). */
  readonly index: number;
}

/** Port name -> tensor. Tensors that fit no free port, and ports without a tensor, are left out. */
export function matchPorts<T extends NamedTensor>(
  ports: readonly string[],
  tensors: readonly T[],
): ReadonlyMap<string, T> {
  const known = new Set(ports);
  const matched = new Map<string, T>();
  const others: T[] = [];
  for (const tensor of tensors) {
    if (known.has(tensor.name) && !matched.has(tensor.name)) matched.set(tensor.name, tensor);
    else others.push(tensor);
  }
  for (const tensor of others) {
    const port = ports[tensor.index];
    if (port !== undefined && !matched.has(port)) matched.set(port, tensor);
  }
  return matched;
}

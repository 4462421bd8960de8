/** Names with one "*", which stands for any text: a model of 30 layers has 60 inputs that are called alike. */

/** What "*" stands for in `name` ("" for a pattern without one); undefined when the pattern does not fit. */
export function starIn(pattern: string, name: string): string | undefined {
  const [head = "", tail] = pattern.split("*");
  if (tail === undefined) return pattern === name ? "" : undefined;
  const fits = name.length >= head.length + tail.length && name.startsWith(head) && name.endsWith(tail);
  return fits ? name.slice(head.length, name.length - tail.length) : undefined;
}

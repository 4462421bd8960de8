/** Types of Comlink's ES modules, which Node loads by their own names (the package's main entry is a script for old browsers). */
declare module "comlink/dist/esm/comlink.mjs" {
  export { expose, proxy, releaseProxy, transfer, wrap } from "comlink";
}
declare module "comlink/dist/esm/node-adapter.mjs" {
  export { default } from "comlink/dist/esm/node-adapter";
}

// biome-ignore lint/performance/noBarrelFile: for who still imports it from here
export { printable } from "../domain/printable.ts";

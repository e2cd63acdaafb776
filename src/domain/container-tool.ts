/** Tools that build container images from a Containerfile. */
export const CONTAINER_TOOLS = ["docker", "podman"] as const;
export type ContainerToolName = (typeof CONTAINER_TOOLS)[number];

/** grpc.health.v1: whether a service is there. What is there, serves. */
import { STATUS, StatusError } from "./errors.ts";
import { Health, HealthCheckResponse_ServingStatus } from "./generated/health.ts";
import { type UnaryMethod, unary } from "./server.ts";

/** Knows the services of these methods, and itself. */
export function healthMethods(methods: readonly UnaryMethod[]): readonly UnaryMethod[] {
  const known = new Set(["", Health.typeName, ...methods.map(({ descriptor }) => descriptor.parent.typeName)]);
  return [
    unary(Health.method.check, async ({ service }) => {
      if (!known.has(service)) {
        throw new StatusError(STATUS.NOT_FOUND, `there is no service ${JSON.stringify(service.slice(0, 100))} here`);
      }
      return { status: HealthCheckResponse_ServingStatus.SERVING };
    }),
  ];
}

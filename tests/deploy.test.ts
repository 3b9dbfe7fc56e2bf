/** What deploy/ says is what the programs take. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { Glob, YAML } from "bun";
import { VARIABLES, type VariableName } from "../common/config.ts";

const DEPLOY = join(import.meta.dir, "../deploy");

/** A line for each setting that does not exist, or that would stop the start. */
function wrong(settings: Record<string, unknown>): string[] {
  return Object.entries(settings).flatMap(([name, value]) => {
    // Which stores there are is for the stores' own tests.
    if (!name.startsWith("CIM_") || name === "CIM_STORE") return [];
    const variable = VARIABLES[name as VariableName];
    if (!variable) return [`${name}: no such setting`];
    // ${NAME:?…} is for the operator to fill in.
    const known = typeof value === "string" && !value.includes("${");
    return known && variable.parse(value) === undefined ? [`${name}=${value}: want ${variable.want}`] : [];
  });
}

/** The parts of the files that are looked at. */
interface Compose {
  services: Record<string, { environment?: Record<string, unknown> }>;
}
interface Manifest {
  kind: string;
  data?: Record<string, string>;
  spec?: {
    selector: Labels & { matchLabels: Labels };
    template?: { metadata: { labels: Labels }; spec: Pod };
  };
}
interface Labels {
  app: string;
}
interface Pod {
  enableServiceLinks?: boolean;
  containers: { name: string; env?: { name: string; value?: string }[] }[];
}

async function manifests(): Promise<Manifest[]> {
  const files = [...new Glob("kubernetes/*.yaml").scanSync(DEPLOY)].sort();
  const texts = await Promise.all(files.map((file) => Bun.file(join(DEPLOY, file)).text()));
  return texts.flatMap((text) => YAML.parse(text) as Manifest | Manifest[]);
}

async function pods(): Promise<Pod[]> {
  return (await manifests()).flatMap(({ spec }) => spec?.template?.spec ?? []);
}

test("the settings in compose.yaml are settings, and their values are taken", async () => {
  const { services } = YAML.parse(await Bun.file(join(DEPLOY, "compose.yaml")).text()) as Compose;
  const against = Object.values(services).flatMap(({ environment = {} }) => wrong(environment));
  expect({ against, services: Object.keys(services).length }).toEqual({ against: [], services: 9 });
});

test("the settings in the Kubernetes manifests are settings, and their values are taken", async () => {
  const shared = (await manifests()).flatMap(({ data = {} }) => wrong(data));
  const own = (await pods()).flatMap(({ containers }) =>
    containers.flatMap(({ env = [] }) =>
      wrong(Object.fromEntries(env.map(({ name, value }) => [name, value]))),
    ),
  );
  expect([...shared, ...own]).toEqual([]);
});

test("in Kubernetes secrets come by reference, and no service sets a setting of ours", async () => {
  const against = (await pods()).flatMap(({ enableServiceLinks, containers }) => {
    const written = containers.flatMap(({ env = [] }) => env.filter(({ value }) => value !== undefined));
    const secrets = written.filter(({ name }) => "secret" in (VARIABLES[name as VariableName] ?? {}));
    // A service cim-route makes Kubernetes set CIM_ROUTE_PORT=tcp://…, which stops the start.
    return [...secrets, ...(enableServiceLinks === false ? [] : containers)];
  });
  expect(against).toEqual([]);
});

test("every disruption budget and service selects pods that there are", async () => {
  const all = await manifests();
  const labels = all.flatMap(({ spec }) => spec?.template?.metadata.labels.app ?? []);
  const selected = all.flatMap(({ kind, spec }) => {
    if (kind === "PodDisruptionBudget") return spec!.selector.matchLabels.app;
    return kind === "Service" ? spec!.selector.app : [];
  });
  expect(selected.filter((app) => !labels.includes(app))).toEqual([]);
});

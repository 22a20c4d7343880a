import { useState } from "preact/hooks";
import { now } from "../api/clock";
import { useQuery } from "../api/query";
import type { Gate } from "../api/answers";
import { useMay } from "../frame/useMay";
import { Ask } from "./Ask";
import { Block } from "./Block";
import { flags } from "./command";
import { aboutOf, concerns, freezeName, type About } from "./gates";
import { Shell } from "./Note";
import { At } from "./Time";

/** For how long something may be frozen, in hours; 0 until it is lifted. */
const lengths = { 0: "until it is lifted", 1: "for an hour", 8: "for 8 hours", 24: "for a day", 72: "for 3 days" };

const hour = 3_600_000;

/** What pages learn by themselves, since they follow gates. */
const nothing = () => {};

/** useGates are the gates that hold something back now. */
export function useGates(): Gate[] {
  const { data } = useQuery<{ gates?: Gate[] }>("/v1/gates?pageSize=500", ["Gate"]);
  return (data?.gates ?? []).filter((g) => g.status.state === "Shut");
}

/** GateRows lists gates that are shut: what they are about, why, by whom and until when, and the way to lift a freeze. */
export const GateRows = ({ gates }: { gates: Gate[] }) => (
  <ul class="rows ahead">
    {gates.map((g) => (
      <li key={g.metadata.name}>
        <span>
          <i class="fl paused" />
        </span>
        <div>
          <p class="ink">
            <b>{g.spec?.window ? "A window holds" : "Frozen:"}</b> {aboutOf(g)} <span class="m dim">{g.metadata.name}</span>
          </p>
          <p>
            {g.spec?.reason && `${g.spec.reason}, `}since <At time={g.status.written} />
            {g.status.actor && ` by ${g.status.actor}`}
            {g.status.changes ? (
              <>
                , until <At time={g.status.changes} />
              </>
            ) : (
              ", until it is lifted"
            )}
          </p>
        </div>
        <div>{!g.spec?.window && <Lift gate={g} />}</div>
      </li>
    ))}
  </ul>
);

/** GatesOf are those that a bundle, a cluster or the fleet waits for; those of everything stand above each page. */
export function GatesOf({ about }: { about: About }) {
  const gates = useGates().filter((g) => (g.spec?.window || aboutOf(g) !== "everything") && concerns(g, about));
  if (gates.length === 0) return null;
  return (
    <Block title="Gates" n={gates.length} act={<code class="dim">yardarm get gates</code>}>
      <GateRows gates={gates} />
    </Block>
  );
}

/** Lift ends a freeze. */
export function Lift({ gate: { metadata } }: { gate: Gate }) {
  if (!useMay("delete", "gates")) return null;
  return (
    <Ask label="Lift…" confirm={`Lift ${metadata.name}`} method="DELETE" path={`/v1/gates/${metadata.name}`} body={{ resourceVersion: metadata.resourceVersion }} done={nothing}>
      <p>What waited for it goes on at once, as far as no other gate holds it.</p>
      <Shell command={`yardarm unfreeze ${metadata.name}`} />
    </Ask>
  );
}

/** Freeze has nothing move, of a bundle, in a cluster, or at all. */
export function Freeze({ about }: { about: About }) {
  const [hours, setHours] = useState(0);
  if (!useMay("apply", "gates")) return null;
  const { bundle = "", cluster = "" } = about;
  const what = bundle || cluster || "everything";
  const gate = async (reason: string) => ({
    resources: [
      {
        gate: {
          apiVersion: "yardarm.dev/v1",
          kind: "Gate",
          metadata: { name: freezeName(about) },
          spec: {
            ...(bundle && { bundles: { names: [bundle] } }),
            ...(cluster && { clusters: { names: [cluster] } }),
            ...(reason && { reason }),
            freeze: hours ? { until: new Date(now.peek() + hours * hour).toISOString() } : {},
          },
        },
      },
    ],
  });
  return (
    <Ask label="Freeze…" confirm={`Freeze ${what}`} danger method="POST" path="/v1/apply" body={gate} reason="reason" touches={warnings} done={nothing}>
      <p>
        {cluster
          ? `No bundle goes on in ${cluster}, nor back. Rollouts go on without it.`
          : `No cluster gets another revision of ${bundle || "any bundle"}, nor goes back to an earlier one. Rollouts wait.`}{" "}
        What a cluster was given before goes on, and drift is repaired.
      </p>
      <label>
        How long
        <select class="field-in" value={String(hours)} onChange={(e) => setHours(Number(e.currentTarget.value))}>
          {Object.entries(lengths).map(([value, text]) => (
            <option key={value} value={value}>
              {text}
            </option>
          ))}
        </select>
      </label>
      <Shell command={`yardarm freeze${flags({ bundle, cluster })}${bundle || cluster ? "" : " --all"}${hours ? ` --for ${hours}h` : ""}`} />
    </Ask>
  );
}

/** warnings are what the hub says of it, such as who waits already. */
function warnings(answer: unknown) {
  return (answer as { results?: { warnings?: string[] }[] }).results?.[0]?.warnings?.map((w) => (
    <p key={w} class="ink">
      {w}
    </p>
  ));
}

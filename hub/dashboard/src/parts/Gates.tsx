import { useState } from "preact/hooks";
import { now } from "../api/clock";
import { useQuery } from "../api/query";
import type { Gate } from "../api/answers";
import { useMay } from "../frame/useMay";
import { Ask } from "./Ask";
import { Block } from "./Block";
import { flags } from "./command";
import { aboutOf, concerns, freezeName, type About } from "./gates";
import { seconds, span } from "../time";
import { At } from "./Time";

/** For how long something may be frozen, in hours; 0 until it is lifted. */
const lengths = { 0: "until it is lifted", 1: "for an hour", 8: "for 8 hours", 24: "for a day", 72: "for 3 days" };

const hour = 3_600_000;

/** What pages learn by themselves, since they follow gates. */
const nothing = () => {};

/** useGates are the gates that hold something back now, and windows also while they do not. */
export function useGates(): Gate[] {
  const { data } = useQuery<{ gates?: Gate[] }>("/v1/gates?pageSize=500", ["Gate"]);
  return (data?.gates ?? []).filter((g) => g.spec?.window || g.status.state === "Shut");
}

/** GateRows lists gates: what they are about, why, by whom and until when they are as they are, and the way to be rid of them. */
export const GateRows = ({ gates }: { gates: Gate[] }) => (
  <ul class="rows ahead">
    {gates.map((g) => (
      <li key={g.metadata.name}>
        <span>
          <i class={`fl ${g.status.state === "Shut" ? "paused" : "waiting"}`} />
        </span>
        <div>
          <p class="ink">
            <b>{!g.spec?.window ? "Frozen:" : g.status.state === "Shut" ? "A window holds" : "A window lets pass"}</b> {aboutOf(g)} <span class="m dim">{g.metadata.name}</span>
          </p>
          {g.spec?.window && (
            <p>
              {g.spec.window.effect === "deny" ? "not in" : "only in"} the {span(seconds(g.spec.window.duration))} from <code>{g.spec.window.schedule}</code>, {g.spec.window.timeZone || "UTC"}
            </p>
          )}
          <p>
            {g.spec?.reason && `${g.spec.reason}, `}since <At time={g.status.written} />
            {g.status.actor && ` by ${g.status.actor}`}
            {g.status.changes ? (
              <>
                , until <At time={g.status.changes} />
              </>
            ) : (
              !g.spec?.window && ", until it is lifted"
            )}
          </p>
        </div>
        <div>
          <Lift gate={g} />
        </div>
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

/** Lift ends a freeze, or does away with a window. */
export function Lift({ gate: { metadata, spec } }: { gate: Gate }) {
  if (!useMay("delete", "gates")) return null;
  const verb = spec?.window ? "Remove" : "Lift";
  return (
    <Ask label={`${verb}…`} confirm={`${verb} ${metadata.name}`} method="DELETE" path={`/v1/gates/${metadata.name}`} body={{ resourceVersion: metadata.resourceVersion }} command={spec?.window ? `yardarm delete gate/${metadata.name}` : `yardarm unfreeze ${metadata.name}`} done={nothing}>
      <p>What waited for it goes on at once, as far as no other gate holds it.</p>
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
    <Ask
      label="Freeze…"
      confirm={`Freeze ${what}`}
      danger
      method="POST"
      path="/v1/apply"
      body={gate}
      command={(reason) => `yardarm freeze${flags({ bundle, cluster })}${bundle || cluster ? "" : " --all"}${hours ? ` --for ${hours}h` : ""}${flags({ reason })}`}
      reason="reason"
      touches={warnings}
      done={nothing}
    >
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
    </Ask>
  );
}

/** warnings are what the hub says of what would be applied, such as who waits already. */
export function warnings(answer: unknown) {
  return (answer as { results?: { warnings?: string[] }[] }).results?.[0]?.warnings?.map((w) => (
    <p key={w} class="ink">
      {w}
    </p>
  ));
}

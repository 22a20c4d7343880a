import { useState } from "preact/hooks";
import { useQuery } from "../api/query";
import type { ClusterGroup, Gate } from "../api/answers";
import { useMay } from "../frame/useMay";
import { exact } from "../time";
import { Ask } from "./Ask";
import { quote } from "./command";
import { windowName, type About } from "./gates";

/** What pages learn by themselves, since they follow gates. */
const nothing = () => {};

/** Window makes a time at which revisions go on, or do not: of a bundle, in a cluster, in a group or everywhere. */
export function Window({ about }: { about: About }) {
  const [effect, setEffect] = useState("allow");
  const [schedule, setSchedule] = useState("0 22 * * 1-5");
  const [hours, setHours] = useState("6");
  const [zone, setZone] = useState(Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC");
  const [group, setGroup] = useState("");
  const allowed = useMay("apply", "gates");
  const anywhere = !about.bundle && !about.cluster;
  const groups = useQuery<{ clusterGroups?: ClusterGroup[] }>(allowed && anywhere ? "/v1/clustergroups?pageSize=500" : "").data?.clusterGroups ?? [];
  if (!allowed) return null;
  const of: About = { ...about, ...(group && { group }) };
  const gate = (reason: string) => ({
    apiVersion: "yardarm.dev/v1",
    kind: "Gate",
    metadata: { name: windowName(of, effect) },
    spec: {
      ...(of.bundle && { bundles: { names: [of.bundle] } }),
      ...(of.group && { groups: [of.group] }),
      ...(of.cluster && { clusters: { names: [of.cluster] } }),
      ...(reason && { reason }),
      window: { effect, schedule: schedule.trim(), duration: `${Math.round(Number(hours) * 3600)}s`, timeZone: zone.trim() },
    },
  });
  const what = of.bundle || of.cluster || of.group || "everything";
  return (
    <Ask
      label="Window…"
      confirm={`Keep this window for ${what}`}
      method="POST"
      path="/v1/apply"
      body={async (reason) => ({ resources: [{ gate: gate(reason) }] })}
      command={(reason) => `echo ${quote(JSON.stringify(gate(reason)))} | yardarm apply -f -`}
      variant={[effect, schedule, hours, zone, group].join("\n")}
      reason="reason"
      touches={openings}
      done={nothing}
    >
      <p>Rollouts wait for it; a rollback does not. What clusters were given before goes on.</p>
      {anywhere && (
        <label>
          Where
          <select class="field-in" value={group} onChange={(e) => setGroup(e.currentTarget.value)}>
            <option value="">everywhere</option>
            {groups.map((g) => (
              <option key={g.metadata.name} value={g.metadata.name}>
                in {g.metadata.name}
              </option>
            ))}
          </select>
        </label>
      )}
      <label>
        Revisions go on
        <select class="field-in" value={effect} onChange={(e) => setEffect(e.currentTarget.value)}>
          <option value="allow">in it, and at no other time</option>
          <option value="deny">at any time but in it</option>
        </select>
      </label>
      <label>
        It begins at (cron: minute, hour, day, month, weekday)
        <input class="field-in m" value={schedule} onInput={(e) => setSchedule(e.currentTarget.value)} />
      </label>
      <label>
        For how many hours
        <input class="field-in" type="number" min="0.25" max="744" step="0.25" value={hours} onInput={(e) => setHours(e.currentTarget.value)} />
      </label>
      <label>
        In the time zone
        <input class="field-in m" value={zone} onInput={(e) => setZone(e.currentTarget.value)} />
      </label>
    </Ask>
  );
}

/** openings are the next times of the window, as the hub reckons them, and what it says of others that it leaves no moment. */
function openings(answer: unknown) {
  const result = (answer as { results?: { outcome: string; warnings?: string[]; resource: { gate: Gate } }[] }).results?.[0];
  if (!result) return null;
  return (
    <>
      <p class="ink">Next, in UTC:</p>
      <ul class="m times">
        {result.resource.gate.status.times?.map((t) => (
          <li key={t.ends}>
            {t.begins ? utc(t.begins) : "now"} to {utc(t.ends)}
          </li>
        ))}
      </ul>
      {result.outcome === "configured" && <p class="ink">It takes the place of {result.resource.gate.metadata.name}, which there is already.</p>}
      {result.outcome === "unchanged" && <p class="ink">There is just this one already.</p>}
      {result.warnings?.map((w) => (
        <p key={w} class="ink">
          {w}
        </p>
      ))}
    </>
  );
}

const weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/** utc is as in "Mon 2026-03-30 20:00". */
const utc = (time: string): string => `${weekdays[new Date(time).getUTCDay()]} ${exact(time).slice(0, 16)}`;

import type { Drift } from "../api/answers";
import { wordOf } from "../words";
import { Ago } from "./Time";

/** DriftList says field by field what differs, or differed, from what was applied. */
export function DriftList({ drift }: { drift: Drift[] }) {
  if (drift.length === 0) return null;
  return (
    <div class="scroll" tabIndex={0} role="group" aria-label="Drift">
      <table class="drift">
        <thead>
          <tr>
            <th scope="col">Field</th>
            <th scope="col">Desired</th>
            <th scope="col">Live</th>
            <th scope="col">Manager</th>
            <th scope="col">Since</th>
            <th scope="col">Now</th>
          </tr>
        </thead>
        <tbody>
          {drift.map((d) => (
            <tr key={`${d.object} ${d.path} ${d.since}`}>
              <td>
                <span class="m ink cut" title={d.path || "the whole object"}>
                  {d.path || "the whole object"}
                </span>
                <span class="dim cut" title={d.object}>
                  {d.object}
                </span>
              </td>
              <td class="m cut" title={d.desired}>
                {d.desired || "none"}
              </td>
              <td class="m cut" title={d.live}>
                {d.live || "none"}
              </td>
              <td class="m cut" title={d.manager}>
                {d.manager || "unknown"}
              </td>
              <td class="nowrap">
                <Ago time={d.since} />
              </td>
              <td class="nowrap">{d.corrected ? <>corrected <Ago time={d.corrected} /> ago</> : <span class="st t-drifted"><i class="fl drifted" />{wordOf(d.reason || "stands")}</span>}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

import { useQuery } from "../../api/query";
import type { Explanation } from "../../api/answers";
import { exact } from "../../time";
import { wordOf } from "../../words";

/** Why is a cluster at a bundle's revision, or not: the steps, and the first that is not done. */
export function Why({ cluster, bundle }: { cluster: string; bundle: string }) {
  const { data } = useQuery<Explanation>(`/v1/clusters/${cluster}/assignments/${bundle}/explanation`, ["Cluster", "Bundle"]);
  if (!data) return null;
  const first = data.steps?.findIndex((s) => !s.done) ?? -1;
  return (
    <div>
      <h3>Why</h3>
      <p class="ink">{data.answer}</p>
      {data.remedy && <p>{data.remedy}</p>}
      <ol class="why">
        {data.steps?.slice(0, first < 0 ? undefined : first + 1).map((s) => (
          <li key={s.name} class={s.done ? "done" : s.reason === "Stale" ? "unheard" : "fail"}>
            <span class="k">{s.done ? wordOf(s.name) : `not ${wordOf(s.name)}`}</span>
            <span>{s.message || s.reason}</span>
            {s.time && <time dateTime={s.time} title={exact(s.time)}>{exact(s.time).slice(11, 19)}</time>}
          </li>
        ))}
      </ol>
    </div>
  );
}

import { query } from "../../api/client";
import { useQuery } from "../../api/query";
import type { Bundle, Facets } from "../../api/answers";
import { Bar } from "../../parts/Bar";
import { Block } from "../../parts/Block";
import { count, flagOf, wordOf } from "../../words";

/** Matrix is the bundle's groups, and in each how it stands and which revisions its clusters are to run. */
export const Matrix = ({ bundle }: { bundle: Bundle }) => (
  <Block title="Groups" n={bundle.spec?.targets?.length ?? 0}>
    <ul class="rows matrix">
      {bundle.spec?.targets?.map((t) => (
        <Target key={t.group} bundle={bundle.metadata.name} group={t.group} />
      ))}
    </ul>
  </Block>
);

function Target({ bundle, group }: { bundle: string; group: string }) {
  const { data } = useQuery<Facets>(query("/v1/facets/Assignment", { filter: `bundle=${bundle},group=${group}`, facets: ["phase", "revision"], limit: 8 }), ["Cluster", "Bundle"]);
  const [phases, revisions] = (data?.facets ?? []).map((f) => f.values ?? []);
  const ready = phases?.find((p) => p.value === "Ready")?.count ?? 0;
  const total = data?.totalSize ?? 0;
  return (
    <li>
      <a class="m ink cut" href={query("/clusters", { filter: `group=${group},bundle=${bundle}` })} title={group}>
        {group}
      </a>
      <Bar parts={(phases ?? []).map((p) => ({ flag: flagOf(p.value), word: wordOf(p.value), n: p.count }))} />
      <span class="num">
        {count(ready)} <span class="dim">of {count(total)} ready</span>
      </span>
      <span class="m dim cut">
        {revisions?.map((r) => `r${r.value} ${count(r.count)}`).join(", ")}
      </span>
    </li>
  );
}

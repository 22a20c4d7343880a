import { Empty } from "../parts/Note";
import { useCommand } from "../parts/command";

export function Missing({ path }: { path: string }) {
  useCommand("--help", "Not found");
  return (
    <>
      <h1 class="title">There is no page {path}</h1>
      <Empty>
        The address may be mistyped. <a class="link" href="/">Fleet</a> shows all there is.
      </Empty>
    </>
  );
}

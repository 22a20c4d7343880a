import { rmSync } from "node:fs";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

/** Larger than what it saves is not worth a second copy in the program. */
const smallest = 1024;

/** The most that all scripts may come to, gzipped: a telephone on a poor line has the pages within a second or two. */
const mostScript = 150 * 1024;

/** precompress writes each file in the encodings that the hub serves, beside the file itself, and fails where the scripts have grown too large. */
function precompress(): Plugin {
  return {
    name: "precompress",
    enforce: "post",
    generateBundle(_, bundle) {
      let script = 0;
      for (const [fileName, file] of Object.entries(bundle)) {
        const content = Buffer.from(file.type === "chunk" ? file.code : file.source);
        if (content.length < smallest) continue;
        this.emitFile({ type: "asset", fileName: `${fileName}.br`, source: brotliCompressSync(content) });
        const gzipped = gzipSync(content, { level: 9 });
        this.emitFile({ type: "asset", fileName: `${fileName}.gz`, source: gzipped });
        if (file.type === "chunk") script += gzipped.length;
      }
      if (script > mostScript) this.error(`the scripts have ${script} bytes gzipped, and ${mostScript} at most are allowed`);
    },
  };
}

/** clean takes the files of the last build away, and leaves dist/.gitignore, without which the hub cannot be built from a clean clone. */
function clean(): Plugin {
  return {
    name: "clean",
    apply: "build",
    buildStart() {
      for (const old of ["assets", "index.html", "index.html.br", "index.html.gz"]) rmSync(`dist/${old}`, { recursive: true, force: true });
    },
  };
}

export default defineConfig({
  plugins: [clean(), precompress()],
  build: {
    target: "es2023",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0, // the policy allows no inline images but flags of CSS
    emptyOutDir: false, // see clean
    reportCompressedSize: false,
  },
});

import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Debian packages in a directory of this checkout: their programs run from there.
 * Nothing is installed, so no script of a package runs, and no service is set
 * up, started or enabled. It needs no root, and removing the directory removes all of it.
 */

// The same directory for the sources and for the compiled files.
const ROOT = fileURLToPath(import.meta.url).replace(/(\/build)?\/test\/support\/[^/]+$/, '');
const UNPACKED = join(ROOT, 'build', 'programs');

/** The paths of programs from unpacked packages; a set that was not downloaded has none. */
export const UNPACKED_PROGRAMS = ['redis', 'deploy', 'browser', 'bench'].map((set) =>
  join(UNPACKED, set, 'bin'),
);

/** The configuration of fontconfig. */
const FONTS = 'etc/fonts/fonts.conf';

/** Programs that Debian starts by a script with absolute paths. */
const BEHIND_SCRIPTS: Readonly<Record<string, string>> = {
  'chromium-headless-shell': 'usr/lib/chromium/chromium-headless-shell',
};

/**
 * Downloads packages, and those dependencies that this machine lacks, into the set's
 * directory, and replaces its former content.
 *
 * @returns the reason for a failure, or `undefined`
 */
export function unpack(set: string, packages: readonly string[]): string | undefined {
  const folder = join(UNPACKED, set);
  rmSync(folder, { recursive: true, force: true });
  // A partly filled directory, as after Ctrl-C, must not look complete.
  const work = `${folder}.new`;
  rmSync(work, { recursive: true, force: true });
  const [lists, archives, root] = ['lists', 'archives', 'root'].map((name) => join(work, name)) as [
    string,
    string,
    string,
  ];
  for (const path of [join(lists, 'partial'), join(archives, 'partial'), root])
    mkdirSync(path, { recursive: true });
  const options = [
    `Dir::State::lists=${lists}`,
    `Dir::Cache=${work}`,
    `Dir::Cache::archives=${archives}`,
    // The command writes nothing to the system, so it does not need the system's locks, which require root.
    'Debug::NoLocking=1',
    `APT::Sandbox::User=${process.getuid?.() === 0 ? 'root' : ''}`,
  ].flatMap((option) => ['-o', option]);
  const problem =
    run('apt-get', ['-q', 'update', ...options]) ??
    run('apt-get', [
      ...['install', '-qy', '--download-only', '--no-install-recommends', ...options],
      ...packages,
    ]) ??
    readdirSync(archives)
      // The loader of this machine needs its own C library.
      .filter((file) => file.endsWith('.deb') && !/^libc(6|-bin)_/.test(file))
      .map((file) => run('dpkg-deb', ['-x', join(archives, file), root]))
      .find((failure) => failure !== undefined);
  if (problem === undefined) {
    adaptPcs(root, folder);
    adaptFonts(root, folder);
    writeStarters(work, root, folder);
    for (const path of [lists, archives]) rmSync(path, { recursive: true });
    renameSync(work, folder);
  } else {
    rmSync(work, { recursive: true, force: true });
  }
  return problem;
}

function run(program: string, args: readonly string[]): string | undefined {
  const { status, error, stdout, stderr } = spawnSync(program, args, {
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' },
  });
  if (status === 0) return undefined;
  const words = `${stdout ?? ''}${stderr ?? ''}`.trim().split('\n').slice(-3).join(' ');
  return `${program} ${args[0] === '-x' ? '-x' : args.find((arg) => /^[a-z]+$/.test(arg))} failed: ${error?.message ?? words}`;
}

/** Writes a start script for each program, which sets the paths of its libraries, modules and data. */
function writeStarters(work: string, root: string, folder: string): void {
  const home = join(folder, 'root');
  const libraries = ['usr/lib', 'lib'].flatMap((lib) => {
    const triplets = entries(join(root, lib)).filter((name) => name.endsWith('-linux-gnu'));
    const own = triplets.flatMap((triplet) => [triplet, `${triplet}/systemd`, `${triplet}/pulseaudio`]);
    return ['', ...own].map((sub) => join(home, lib, sub));
  });
  const environment = [
    `LD_LIBRARY_PATH='${libraries.join(':')}'`,
    `PYTHONPATH='${home}/usr/lib/python3/dist-packages'`,
    `PCMK_schema_directory='${home}/usr/share/pacemaker'`,
    `SYSTEMD_UNIT_PATH='${home}/lib/systemd/system:'`,
    ...(existsSync(join(root, FONTS)) ? [`FONTCONFIG_FILE='${join(home, FONTS)}'`] : []),
  ].join(' ');
  const bin = join(work, 'bin');
  mkdirSync(bin);
  const python = ['/usr/bin/python3', join(home, 'usr/bin/python3')].find(existsSync) ?? 'python3';
  for (const place of ['bin', 'sbin', 'usr/bin', 'usr/sbin']) {
    for (const name of entries(join(root, place))) {
      const program = join(home, BEHIND_SCRIPTS[name] ?? join(place, name));
      // `-E` in the first line would make Python ignore the module path.
      const interpreter = isPython(join(root, place, name)) ? `'${python}' -s ` : '';
      const starter = join(bin, name);
      writeFileSync(starter, `#!/bin/sh\nexport ${environment}\nexec ${interpreter}'${program}' "$@"\n`);
      chmodSync(starter, 0o755);
    }
  }
}

function entries(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}

function isPython(file: string): boolean {
  try {
    return /^#!.*python3/.test(readFileSync(file, 'latin1').slice(0, 64));
  } catch {
    // A link to a target outside.
    return false;
  }
}

/** Fonts are found by absolute paths from one file. It is unpacked only where the machine has none. */
function adaptFonts(root: string, folder: string): void {
  const file = join(root, FONTS);
  if (!existsSync(file)) return;
  const adapted = readFileSync(file, 'utf8').replaceAll('<dir>/usr/', `<dir>${join(folder, 'root')}/usr/`);
  writeFileSync(file, adapted);
}

/** pcs starts other programs of its set by absolute paths from one file. */
function adaptPcs(root: string, folder: string): void {
  const file = join(root, 'usr/lib/python3/dist-packages/pcs/settings.py');
  if (!existsSync(file)) return;
  const adapted = readFileSync(file, 'utf8')
    .replaceAll(/"\/usr\/s?bin\b/g, `"${join(folder, 'bin')}`)
    .replaceAll(/"(\/usr\/(?:share|lib)\/)/g, `"${join(folder, 'root')}$1`);
  writeFileSync(file, adapted);
}

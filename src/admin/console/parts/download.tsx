import { saveFile } from '../data/save-file.ts';

interface DownloadProps {
  readonly name: string;
  readonly type: string;
  readonly text: () => string;
}

/** Saves what is shown as a file. */
export function Download({ name, type, text }: DownloadProps) {
  const save = (): void => saveFile(name, new Blob([text()], { type }));
  return (
    <button type="button" data-testid={`download-${name.split('.').at(-1)}`} onClick={save}>
      Download {name.split('.').at(-1)?.toUpperCase()}
    </button>
  );
}

interface DownloadProps {
  readonly name: string;
  readonly type: string;
  readonly text: () => string;
}

/** Saves what is shown as a file. */
export function Download({ name, type, text }: DownloadProps) {
  const save = (): void => {
    const url = URL.createObjectURL(new Blob([text()], { type }));
    const link = document.createElement('a');
    link.href = url;
    link.download = name;
    link.click();
    URL.revokeObjectURL(url);
  };
  return (
    <button type="button" data-testid={`download-${name.split('.').at(-1)}`} onClick={save}>
      Download {name.split('.').at(-1)?.toUpperCase()}
    </button>
  );
}

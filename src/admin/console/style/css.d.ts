// esbuild puts the style sheets that modules import into one file.
declare module '*.css';

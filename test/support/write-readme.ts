import { readFileSync, writeFileSync } from 'node:fs';
import { regenerated } from './readme.ts';

writeFileSync('README.md', regenerated(readFileSync('README.md', 'utf8')));

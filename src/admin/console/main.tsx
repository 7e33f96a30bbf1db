import { render } from 'preact';
import 'uplot/dist/uPlot.min.css';
import './style/base.css';
import './style/frame.css';
import './style/parts.css';
import './style/stack.css';
import './style/cards.css';
import './style/history.css';
import { App, openFirstPage } from './app.tsx';
import { noteActions } from './data/activity.ts';
import { copyTimesAsIso } from './data/clipboard.ts';
import { clock } from './data/clock.ts';
import { applyTheme } from './data/preferences.ts';
import { followAddress } from './data/route.ts';
import { collectSamples } from './data/samples.ts';
import { loadSession } from './data/session.ts';

const root = document.getElementById('root');
if (root !== null) {
  openFirstPage();
  followAddress();
  applyTheme();
  clock.start();
  copyTimesAsIso();
  noteActions();
  collectSamples();
  void loadSession();
  render(<App />, root);
}

"""The script that Streamlit runs for every view, with the launcher's address and the cookie."""

import streamlit as st

from dashboard.doors import COOKIE
from dashboard.shell import show

show(st.secrets["modelwitness"]["api"], st.context.cookies.get(COOKIE))

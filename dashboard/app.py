"""The script that Streamlit runs for every view, with the launcher's address and the cookie."""

import streamlit as st

from dashboard.shell import show

told = st.secrets["modelwitness"]
show(told["api"], st.context.cookies.get(told["cookie"]))

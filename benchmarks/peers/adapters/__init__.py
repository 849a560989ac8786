"""One module for each peer: its public interface, with the settings that its documentation gives for speed."""
